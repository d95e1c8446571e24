//! A network between machines: an Ethernet switch in this process. Frames go to every other port, tags and all; what a port does not
//! take waits in its queue, and is dropped where that is full: a machine that stands still keeps nobody waiting. Never: touches this
//! machine's own network.

use crate::VmError;
use std::{
    io::{Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU8, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
};
use tempfile::TempDir;

/// The longest frame QEMU sends: a segment that the machine leaves to the card to cut.
const FRAME_MOST: usize = 80 << 10;
/// Frames that wait for a port, as many as a switch of that kind has: an emulated machine is often busy with itself.
const WAITING: usize = 1024;

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
                let Ok(to) = stream.try_clone() else { continue };
                let (queue, waiting) = sync_channel(WAITING);
                let all = Arc::clone(&plugged);
                if let Ok(mut ports) = all.lock() {
                    ports.push((port, queue));
                }
                std::thread::spawn(move || deliver(to, &waiting));
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

type Frame = Arc<Vec<u8>>;
type Plugged = Arc<Mutex<Vec<(usize, SyncSender<Frame>)>>>;

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
        let frame = Frame::new(frame);
        if let Ok(mut ports) = all.lock() {
            ports.retain(|(other, queue)| *other == port || !matches!(queue.try_send(frame.clone()), Err(TrySendError::Disconnected(_))));
        }
    }
    if let Ok(mut ports) = all.lock() {
        ports.retain(|(other, _)| *other != port);
    }
}

/// Writes what waits for a port, until its machine is gone.
fn deliver(mut to: UnixStream, waiting: &Receiver<Frame>) {
    while let Ok(frame) = waiting.recv() {
        if to.write_all(&frame).is_err() {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Whoever takes nothing loses frames; the others lose none.
    #[test]
    fn a_machine_that_stands_still_keeps_nobody_waiting() {
        let switch = Switch::new().expect("a switch");
        let plug = || UnixStream::connect(switch.path()).expect("plugged");
        let (mut sender, _still, mut taker) = (plug(), plug(), plug());
        taker.set_read_timeout(Some(Duration::from_secs(60))).expect("set");
        let frame = |n: u32| [&1400_u32.to_be_bytes()[..], &n.to_be_bytes()[..], &[0; 1396][..]].concat();
        // All three are plugged in once a frame has gone through.
        let mut first = vec![0; 1404];
        let begun = std::time::Instant::now();
        taker.set_nonblocking(true).expect("set");
        while taker.read_exact(&mut first).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(60), "nothing goes through");
            sender.write_all(&frame(u32::MAX)).expect("written");
            std::thread::sleep(Duration::from_millis(50));
        }
        taker.set_nonblocking(false).expect("set");
        // More than the queue and the socket of the one that stands still can hold.
        let many = 4 * u32::try_from(WAITING).expect("few");
        let mut got = vec![0; 1404];
        for n in 0..many {
            sender.write_all(&frame(n)).expect("written");
            loop {
                taker.read_exact(&mut got).expect("comes at once");
                if got[4..8] == n.to_be_bytes() {
                    break;
                }
                assert_eq!(got[4..8], u32::MAX.to_be_bytes(), "out of order at {n}");
            }
        }
    }
}
