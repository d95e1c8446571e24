//! The command socket. In comes a line, out goes an answer, one of each per connection. Its file is for its owner alone. Never: lets a silent
//! client stop the next one.

use crate::Error;
use std::{
    io::{Read, Write},
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    time::Duration,
};

/// Where it is by default.
pub const SOCKET: &str = "/run/ravelin-ips/control";
/// Longest command in bytes.
const MAX_COMMAND: u64 = 64;
/// Longest answer in bytes.
const MAX_ANSWER: u64 = 1 << 20;
/// A client that says nothing for so long is let go.
const PATIENCE: Duration = Duration::from_secs(1);
/// Rules of the largest public set compile in seconds.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);
/// Its owner's alone.
const MODE: u32 = 0o600;

/// Listens on a thread of its own; `answer` gets each command. A socket that nobody listens on any more is replaced.
///
/// # Errors
/// Where somebody listens there already, or the place cannot be written.
pub fn listen(path: &Path, mut answer: impl FnMut(&str) -> String + Send + 'static) -> Result<(), Error> {
    let about = |what: &str| format!("{what} {}", path.display());
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(Error::io(format!("create {}", parent.display())))?;
    }
    if UnixStream::connect(path).is_ok() {
        let taken = std::io::Error::from(std::io::ErrorKind::AddrInUse);
        return Err(Error::io(about("another engine listens on"))(taken));
    }
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path).map_err(Error::io(about("listen on")))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(MODE)).map_err(Error::io(about("close to others")))?;
    let work = move || {
        for client in listener.incoming().flatten() {
            let _ = serve(client, &mut answer);
        }
    };
    std::thread::Builder::new().name("control".into()).spawn(work).map(drop).map_err(Error::io("start a thread"))
}

fn serve(mut client: UnixStream, answer: &mut impl FnMut(&str) -> String) -> std::io::Result<()> {
    client.set_read_timeout(Some(PATIENCE))?;
    client.set_write_timeout(Some(PATIENCE))?;
    let mut command = String::new();
    Read::by_ref(&mut client).take(MAX_COMMAND).read_to_string(&mut command)?;
    client.write_all(answer(command.trim()).as_bytes())
}

/// Asks whoever listens there.
///
/// # Errors
/// Where nobody does, or no answer comes.
pub fn ask(path: &Path, command: &str) -> Result<String, Error> {
    let what = || format!("ask {}", PathBuf::from(path).display());
    let run = || -> std::io::Result<String> {
        let mut server = UnixStream::connect(path)?;
        server.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        server.write_all(command.as_bytes())?;
        server.shutdown(std::net::Shutdown::Write)?;
        let mut out = String::new();
        server.take(MAX_ANSWER).read_to_string(&mut out)?;
        Ok(out)
    };
    run().map_err(Error::io(what()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_answered_and_a_silent_client_is_let_go() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("run/ips.sock");
        listen(&path, |c| format!("<{c}>")).expect("listens");
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, MODE);
        let _silent = UnixStream::connect(&path).expect("connects");
        assert_eq!(ask(&path, "status").expect("answered"), "<status>");
        assert!(listen(&path, |_| String::new()).is_err(), "one at a time");
        assert!(ask(&dir.path().join("nobody"), "status").is_err());
    }
}
