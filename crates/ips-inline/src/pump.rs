//! The loop between kernel and engine. In come packets of two queues, one whose policies are open on failure and one whose are closed; out go
//! verdicts in batches. One engine sees both, so that each flow is seen whole. Never: asks the clock within the engine, writes a file.

use crate::{
    Error,
    count::Counts,
    decide::{self, Decision, Leaves},
    events::Lines,
    fresh::Fresh,
    policy::{Mode, Policies, Policy},
};
use ips_detect::{Memory, Tables};
use ips_engine::{Engine, Fate, Judged, Manner, Over, Standing};
use ips_io::eve::{self, Eve};
use ips_proto::Parsers;
use ips_wire::Link;
use std::{
    sync::{
        Arc,
        atomic::Ordering::Relaxed,
        mpsc::{Receiver, Sender},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use sys::queue::{Packet, Queues, Received, Verdict, Verdicts};
use words::mark::{Mark, State};

/// Packets judged before their verdicts are sent: more would let the first wait, fewer cost a system call each.
const BATCH: usize = 64;
/// How long the loop waits for a packet before it looks at its orders.
const WAIT: Duration = Duration::from_millis(20);
/// Lines of events wait so long for others, rather than wake their writer with each batch.
const GATHER: Duration = WAIT;
/// Kinds of events that are written where nothing else is asked for: what somebody must see. All kinds cost half of the engine's time on small packets.
pub const KINDS: [&str; 4] = ["alert", "drop", "bypass", "stats"];
/// Packets that may wait in a queue.
pub const MOST: u32 = 4096;
/// Bytes of packets that may wait in the socket: the kernel counts twice their size, segments of 64 KiB each.
pub const ROOM: usize = 64 << 20;

/// How a pump is set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The queue whose packets go on where nobody judges them.
    pub open: u16,
    /// The queue whose packets do not.
    pub closed: u16,
    /// Segments come as the stack moves them.
    pub segments: bool,
    /// Of the engine.
    pub engine: ips_engine::Settings,
    /// Of parsers.
    pub parsers: ips_proto::Settings,
    /// Of events.
    pub eve: eve::Settings,
    /// What the site says.
    pub policies: Policies,
}

/// What a pump is told while it runs.
#[derive(Debug)]
pub enum Order {
    /// Other rules.
    Rules(Box<Fresh>),
    /// Enough.
    Stop,
}

/// What the rules before leave, for somebody else to let go of.
pub type Old = (Arc<Tables>, Memory);

/// The loop's state.
pub struct Pump {
    queues: Queues,
    hand: Hand,
    orders: Receiver<Order>,
    old: Sender<Old>,
    epoch: Instant,
    /// When lines were last sent on their way.
    sent: Instant,
}

/// Everything but the socket: it is lent to each packet.
struct Hand {
    engine: Engine,
    eve: Eve<Lines>,
    policies: Policies,
    verdicts: Verdicts,
    counts: Arc<Counts>,
    closed: u16,
    now: u64,
    rules: (usize, usize),
}

impl Pump {
    /// Binds both queues: from here on the kernel waits for this pump's verdicts.
    ///
    /// # Errors
    /// Where the kernel refuses: no capability, another reader, no such queues.
    pub fn open(
        settings: Settings,
        fresh: Fresh,
        lines: Lines,
        counts: Arc<Counts>,
        epoch: Instant,
        (orders, old): (Receiver<Order>, Sender<Old>),
    ) -> Result<Self, Error> {
        let mut eve = Eve::new(lines, settings.eve);
        name(&mut eve, &fresh);
        let mut engine = Engine::new(settings.engine, fresh.tables, Parsers::new(settings.parsers));
        *engine.memory() = fresh.memory;
        note_rules(&counts, fresh.rules);
        let mut queues = Queues::open(ROOM, WAIT)?;
        for (queue, fail_open) in [(settings.open, true), (settings.closed, false)] {
            let _ = queues.bind(queue, &sys::queue::Settings { most: MOST, fail_open, segments: settings.segments })?;
        }
        counts.room.store(queues.room() as u64, Relaxed);
        let hand = Hand {
            engine,
            eve,
            policies: settings.policies,
            verdicts: Verdicts::default(),
            counts,
            closed: settings.closed,
            now: now(),
            rules: fresh.rules,
        };
        Ok(Self { queues, hand, orders, old, epoch, sent: epoch })
    }

    /// Runs until it is told to stop.
    ///
    /// # Errors
    /// Where the socket fails: then the kernel's answer to failure holds.
    pub fn run(mut self) -> Result<(), Error> {
        loop {
            if self.obey() {
                return self.end();
            }
            self.turn()?;
        }
    }

    /// What was ordered; true where it is to stop.
    fn obey(&mut self) -> bool {
        while let Ok(order) = self.orders.try_recv() {
            let hand = &mut self.hand;
            match order {
                Order::Stop => return true,
                Order::Rules(fresh) => {
                    name(&mut hand.eve, &fresh);
                    hand.rules = fresh.rules;
                    note_rules(&hand.counts, fresh.rules);
                    // Letting go of a large set takes longer than packets should wait: somebody else does it.
                    let _ = self.old.send(hand.engine.exchange(fresh.tables, fresh.memory));
                    Counts::one(&hand.counts.reloads);
                }
            }
        }
        false
    }

    /// One batch: waits for a packet, takes what else is there, and sends what was decided.
    fn turn(&mut self) -> Result<(), Error> {
        let (queues, hand) = (&mut self.queues, &mut self.hand);
        let mut begun = None;
        let mut received = 0;
        while received < BATCH {
            let first = received == 0;
            let got = queues.receive(first, &mut |packet| {
                if begun.is_none() {
                    let at = Instant::now();
                    begun = Some(at);
                    let since = u64::try_from(at.duration_since(self.epoch).as_micros()).unwrap_or(u64::MAX);
                    hand.counts.busy_since.store(since.max(1), Relaxed);
                }
                hand.packet(&packet);
            })?;
            received += 1;
            match got {
                Received::Message => {}
                Received::Nothing => break,
                Received::Lost => Counts::one(&hand.counts.lost),
                Received::Refused => Counts::one(&hand.counts.not_taken),
            }
        }
        if !hand.verdicts.is_empty() {
            hand.counts.messages.fetch_add(hand.verdicts.messages() as u64, Relaxed);
            queues.decide(&mut hand.verdicts)?;
            Counts::one(&hand.counts.batches);
        }
        if let Some(begun) = begun {
            hand.counts.wait(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX));
            hand.counts.flows.store(hand.engine.flows() as u64, Relaxed);
        }
        hand.counts.busy_since.store(0, Relaxed);
        let now = Instant::now();
        if now.duration_since(self.sent) >= GATHER {
            self.sent = now;
            hand.eve.to().go();
        }
        Ok(())
    }

    /// What is still to be looked at is, and told.
    fn end(mut self) -> Result<(), Error> {
        let hand = &mut self.hand;
        hand.engine.finish(&mut hand.eve);
        let stats = *hand.engine.stats();
        hand.eve.stats(&stats, true, hand.rules);
        self.hand.eve.end().map(drop).map_err(Error::io("write events"))
    }
}

impl Hand {
    fn packet(&mut self, packet: &Packet<'_>) {
        let counts: &Counts = &self.counts;
        Counts::one(&counts.packets);
        counts.bytes.fetch_add(u64::from(packet.length), Relaxed);
        counts.segments.fetch_add(u64::from(packet.segments), Relaxed);
        let mark = Mark::read(packet.mark);
        let policy = self.policies.of(mark.policy);
        if !packet.is_whole() {
            Counts::one(&counts.too_long);
            let drop = packet.queue == self.closed && policy.mode == Mode::Enforce;
            let word = mark.judged().into(packet.mark);
            return self.verdicts.add(packet.queue, packet.id, if drop { Verdict::Drop } else { Verdict::Accept }, word);
        }
        // The engine's time does not go back, whatever the machine's clock does.
        self.now = self.now.max(now());
        let manner = Manner { enforce: policy.mode == Mode::Enforce, sums: !packet.sum_not_ready };
        let judged = self.engine.judge(Link::Raw, self.now, packet.bytes, manner, &mut self.eve);
        let decision = decide::decide(packet.mark, policy, &judged);
        note(counts, &judged, &decision);
        // Packets that were under way when it left are no news.
        if let (Some(leaves), Some(standing)) = (decision.leaves, judged.standing.filter(|s| !s.left)) {
            note_leaving(counts, leaves);
            tell_leaving(&mut self.eve, self.now, policy, &standing, leaves);
            self.engine.leave();
        }
        self.verdicts.add(packet.queue, packet.id, decision.verdict, decision.mark);
    }
}

/// Events name what these rules name.
fn name(eve: &mut Eve<Lines>, fresh: &Fresh) {
    eve.know(fresh.tables.clone());
    eve.rename(&fresh.read_against);
}

fn note(counts: &Counts, judged: &Judged, decision: &Decision) {
    Counts::one(match (judged.fate, decision.verdict) {
        (Fate::Drop, Verdict::Accept) if Mark::read(decision.mark).state == State::Refused => &counts.refused,
        (_, Verdict::Drop) => &counts.dropped,
        _ => &counts.accepted,
    });
    if judged.would_drop {
        Counts::one(&counts.observed);
    }
}

fn note_leaving(counts: &Counts, leaves: Leaves) {
    Counts::one(match leaves {
        Leaves::Over(Over::Opaque) => &counts.left_opaque,
        Leaves::Over(Over::Deep) => &counts.left_deep,
        Leaves::Over(Over::Passed) => &counts.left_passed,
        Leaves::Bytes => &counts.left_bytes,
    });
}

fn note_rules(counts: &Counts, (loaded, refused): (usize, usize)) {
    counts.rules.store(loaded as u64, Relaxed);
    counts.rules_refused.store(refused as u64, Relaxed);
}

/// The event of a flow that leaves: which, when, why.
fn tell_leaving(eve: &mut Eve<Lines>, time: u64, policy: &Policy, standing: &Standing, leaves: Leaves) {
    eve.other(time, "bypass", &mut |j| {
        let (client, server) = standing.ends;
        j.number("flow_id", standing.flow);
        j.address("src_ip", client.0);
        j.number("src_port", u64::from(client.1));
        j.address("dest_ip", server.0);
        j.number("dest_port", u64::from(server.1));
        j.number("protocol", u64::from(standing.protocol));
        j.object("bypass", |j| {
            j.text("reason", leaves.name());
            j.text("policy", &policy.name);
            j.text("inspect", &policy.inspect.to_string());
            j.number("bytes", standing.bytes);
        });
    });
}

/// Microseconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_micros()).unwrap_or(u64::MAX))
}

/// The engine's settings where packets wait: bytes are looked at when they are seen, and a connection that tracking knows is taken up wherever it
/// is, since the kernel has judged its beginning (`nf_conntrack_tcp_loose` is off, invalid packets never come here).
pub fn inline(config: &mut ips_io::config::Config) {
    config.inline();
    config.engine.stream.midstream = true;
    // Which sums mean something is known of each packet.
    config.engine.checksums = ips_engine::settings::Checksums::Verify;
    // There is no capture to look a number up in.
    config.eve.numbers = false;
}
