//! Connections tried from this machine, all at once. In comes a list, out comes what became of each: open where the other end accepted or
//! reset, closed where nobody answered or somebody on the way refused, unclear where it could not be tried. Sends one opening packet and
//! its repetitions, no data. Never: changes anything, takes a lock, waits longer than [`PATIENCE`].

use crate::Error;
use bundle::{Is, MOST_TRIALS, Trial, Tried};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, bind, connect, ipproto, socket_with, sockopt},
};
use std::{
    net::SocketAddr,
    os::fd::{AsFd, OwnedFd},
    time::{Duration, Instant},
};
use words::Proto;

/// How long an answer may take: the opening packet is repeated after one second and lost twice in a row nowhere that works.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// Tries all of them. An error where the list is too long, nothing else.
pub fn all(trials: &[Trial]) -> Result<Vec<Tried>, Error> {
    if trials.len() > MOST_TRIALS {
        return Err(Error::TooManyTrials { asked: trials.len(), most: MOST_TRIALS });
    }
    let begun = Instant::now();
    let mut begun_trials: Vec<Result<OwnedFd, (Is, String)>> = trials.iter().map(begin).collect();
    while begun_trials.iter().any(Result::is_ok) {
        let Some(left) = PATIENCE.checked_sub(begun.elapsed()).filter(|l| !l.is_zero()) else { break };
        wait(&begun_trials, left)?;
        for entry in &mut begun_trials {
            let over = entry.as_ref().ok().and_then(|fd| ended(fd).transpose());
            if let Some(result) = over {
                *entry = Err(result.unwrap_or_else(|e| (Is::Unclear, e.to_string())));
            }
        }
    }
    let silence = || (Is::Closed, format!("no answer within {} s", PATIENCE.as_secs()));
    let told = |(trial, end): (&Trial, Result<OwnedFd, (Is, String)>)| {
        let (is, why) = end.map_or_else(|seen| seen, |_| silence());
        Tried { id: trial.id.clone(), to: trial.to, port: trial.port, expect: trial.expect, is, why }
    };
    Ok(trials.iter().zip(begun_trials).map(told).collect())
}

/// Sends the opening packet. What is known at once is an end already.
fn begin(trial: &Trial) -> Result<OwnedFd, (Is, String)> {
    if trial.proto != Proto::Tcp {
        return Err((Is::Unclear, "only TCP can be tried".into()));
    }
    let family = if trial.to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let unclear = |what: &str| {
        let what = what.to_owned();
        move |e: Errno| (Is::Unclear, format!("{what}: {e}"))
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP)).map_err(unclear("a socket"))?;
    if let Some(from) = trial.from {
        bind(&fd, &SocketAddr::new(from, 0)).map_err(unclear("its own address"))?;
    }
    match connect(&fd, &SocketAddr::new(trial.to, trial.port)) {
        Ok(()) => Err((Is::Open, "accepted".into())),
        Err(Errno::INPROGRESS) => Ok(fd),
        Err(Errno::CONNREFUSED) => Err((Is::Open, "reset by the other end".into())),
        Err(e) => Err((Is::Unclear, e.to_string())),
    }
}

/// Until one of them has an end, or time is over.
fn wait(all: &[Result<OwnedFd, (Is, String)>], left: Duration) -> Result<(), Error> {
    let mut watched: Vec<PollFd<'_>> = all.iter().flatten().map(|fd| PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::OUT)).collect();
    let left = Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(0), tv_nsec: i64::from(left.subsec_nanos()) };
    match poll(&mut watched, Some(&left)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(e) => Err(sys::Error::call("wait for connections", std::io::Error::from(e)).into()),
    }
}

/// How it ended; nothing where it has not.
fn ended(fd: &OwnedFd) -> Result<Option<(Is, String)>, Errno> {
    let mut one = [PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::OUT)];
    poll(&mut one, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
    if one[0].revents().is_empty() {
        return Ok(None);
    }
    Ok(Some(match sockopt::socket_error(fd)? {
        Ok(()) => (Is::Open, "accepted".into()),
        Err(Errno::CONNREFUSED) => (Is::Open, "reset by the other end".into()),
        Err(Errno::TIMEDOUT) => (Is::Closed, "no answer".into()),
        Err(e @ (Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::ACCESS | Errno::PERM)) => (Is::Closed, format!("refused on the way: {e}")),
        Err(e) => (Is::Unclear, e.to_string()),
    }))
}
