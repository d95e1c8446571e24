//! A network between machines: an Ethernet switch in this process. Frames go to every other port, tags and all; nothing of it
//! touches this machine's own network.

use crate::VmError;
use std::{
    io::{Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;

/// The longest frame QEMU sends: a segment that the machine leaves to the card to cut.
const FRAME_MOST: usize = 80 << 10;
/// How long a machine may leave a frame waiting: longer than an emulated one is busy with itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// A switch. Clones are the same switch; it ends with the last of them.
#[derive(Debug, Clone)]
pub struct Switch(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    _directory: TempDir,
    socket: PathBuf,
    ports: AtomicU8,
    over: Arc<AtomicBool>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for machines.
        let _ = UnixStream::connect(&self.socket);
    }
}

impl Switch {
    /// A new one without machines.
    pub fn new() -> Result<Self, VmError> {
        let directory = tempfile::Builder::new().prefix("ravelin-vm").tempdir().map_err(VmError::file("a temporary directory"))?;
        let socket = directory.path().join("switch");
        let listener = UnixListener::bind(&socket).map_err(VmError::file(&socket))?;
        let plugged = Arc::new(Mutex::new(Vec::new()));
        let over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&over);
        std::thread::spawn(move || {
            let still = |_: &UnixStream| !ended.load(Ordering::Relaxed);
            for (port, stream) in listener.incoming().map_while(Result::ok).take_while(still).enumerate() {
                let Ok(sender) = stream.try_clone() else { continue };
                // A machine that takes nothing for so long is unplugged: the others must not wait for it.
                let _ = sender.set_write_timeout(Some(PATIENCE));
                let all = Arc::clone(&plugged);
                if let Ok(mut ports) = all.lock() {
                    ports.push((port, sender));
                }
                std::thread::spawn(move || forward(port, stream, &all));
            }
        });
        Ok(Self(Arc::new(Inner { _directory: directory, socket, ports: AtomicU8::new(0), over })))
    }

    /// Its socket.
    pub(crate) fn path(&self) -> &Path {
        &self.0.socket
    }

    /// A number no other device on this switch has.
    pub(crate) fn next_port(&self) -> u8 {
        self.0.ports.fetch_add(1, Ordering::Relaxed)
    }
}

type Plugged = Arc<Mutex<Vec<(usize, UnixStream)>>>;

/// Gives every frame of one port to all others, until its machine is gone. QEMU writes four bytes of length before each.
fn forward(port: usize, mut from: UnixStream, all: &Plugged) {
    let mut length = [0; 4];
    while from.read_exact(&mut length).is_ok() {
        let count = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if count > FRAME_MOST {
            break;
        }
        let mut frame = length.to_vec();
        frame.resize(length.len() + count, 0);
        if from.read_exact(&mut frame[length.len()..]).is_err() {
            break;
        }
        if let Ok(mut ports) = all.lock() {
            ports.retain_mut(|(other, to)| *other == port || to.write_all(&frame).is_ok());
        }
    }
    if let Ok(mut ports) = all.lock() {
        ports.retain(|(other, _)| *other != port);
    }
}
