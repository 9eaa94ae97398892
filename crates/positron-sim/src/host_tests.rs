//! What a process sees of its kernel and of the network between.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use positron_internet::HostId;
use positron_proto::{
    id::{LinkId, Ticket},
    node::{Command, Effect, Input, Refused},
    rng::Seed,
    session::sessions::{Hangup, LinkDown, LinkKind},
    time::{Duration, Instant, Now},
};

use crate::{
    AddressBlock, Adversary, Physics, Scenario, cast::Cast, check::Oracle,
    environment::Environment, host::Host, machine::Machine, stage::Stage,
};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const LINK: LinkId = LinkId::of_core(0);

/// Does what it is told from outside, and remembers what happened to it.
#[derive(Clone, Default)]
struct Puppet(Arc<Mutex<Strings>>);

#[derive(Default)]
struct Strings {
    effects: VecDeque<Effect>,
    seen: Vec<(Instant, Input)>,
}

impl Puppet {
    fn pull(&self, effect: Effect) {
        self.0.lock().unwrap().effects.push_back(effect);
    }

    fn seen(&self) -> Vec<(Instant, Input)> {
        self.0.lock().unwrap().seen.clone()
    }

    fn heard(&self) -> Vec<u8> {
        let bytes =
            |(_, input)| if let Input::Bytes { bytes, .. } = input { Some(bytes) } else { None };
        self.seen().into_iter().filter_map(bytes).flatten().collect()
    }

    fn written(&self) -> usize {
        let bytes = |(_, input)| if let Input::Written { bytes, .. } = input { bytes } else { 0 };
        self.seen().into_iter().map(bytes).sum()
    }

    fn downs(&self) -> Vec<LinkDown> {
        let down = |(_, input)| {
            if let Input::LinkDown { reason, .. } = input { Some(reason) } else { None }
        };
        self.seen().into_iter().filter_map(down).collect()
    }
}

impl Machine for Puppet {
    fn handle(&mut self, now: Now, input: Input) {
        self.0.lock().unwrap().seen.push((now.mono, input));
    }

    fn command(&mut self, _: Now, _: Command) -> Result<Ticket, Refused> {
        Err(Refused::Stopping)
    }

    fn poll_effect(&mut self) -> Option<Effect> {
        self.0.lock().unwrap().effects.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

/// Two hosts with a puppet each.
struct Theatre {
    stage: Stage,
    puppets: [Puppet; 2],
}

impl Theatre {
    fn new(physics: Physics) -> Self {
        let mut scenario = Scenario::quiet("puppets", 0, SECOND).physics(physics);
        scenario.guests = vec![Adversary::Outsider; 2];
        let scenario = Arc::new(scenario);
        let hosts = Cast::new(scenario.clone(), Seed::from_number(1)).hosts();
        let oracle = Oracle::new(scenario, 1, &hosts);
        let mut stage = Stage::new(hosts, oracle);
        let puppets = [Puppet::default(), Puppet::default()];
        for (host, puppet) in puppets.iter().enumerate() {
            let machine = Box::new(puppet.clone());
            stage.change(host, |this, environment| {
                this.start(Instant::ORIGIN, environment, AddressBlock::Private.of(host), machine);
            });
        }
        Self { stage, puppets }
    }

    /// With a connection from the first to the second.
    fn connected(physics: Physics) -> Self {
        let mut theatre = Self::new(physics);
        theatre.pull(
            0,
            Effect::Dial { link: LINK, kind: LinkKind::Tcp, to: AddressBlock::Private.of(1) },
        );
        theatre.pass(5 * SECOND);
        let connected = Input::Connected { link: LINK, certificate: None };
        assert!(theatre.puppets[0].seen().iter().any(|(_, input)| *input == connected));
        theatre
    }

    fn pull(&mut self, host: usize, effect: Effect) {
        self.puppets[host].pull(effect);
        self.touch(host);
    }

    fn touch(&mut self, host: usize) {
        let now = self.stage.now();
        self.change(host, |this, _| this.catch_up(now));
    }

    fn write(&mut self, bytes: Vec<u8>) {
        self.pull(0, Effect::Write { link: LINK, bytes: bytes.into() });
    }

    fn pass(&mut self, time: Duration) {
        self.stage.run_until(self.stage.now() + time);
    }

    fn change<T>(&mut self, host: usize, how: impl FnOnce(&mut Host, &Environment) -> T) -> T {
        self.stage.change(host, how)
    }

    fn release(&mut self, host: usize) {
        let now = self.stage.now();
        self.change(host, |this, environment| {
            this.catch_up(now);
            this.stack().release_all(now, &environment.network);
        });
    }

    fn edit(&mut self, edit: impl FnOnce(&mut Environment)) {
        self.stage.change_environment(edit);
    }
}

fn numbers(count: usize) -> Vec<u8> {
    (0..count).map(|n| u8::try_from(n * 7 % 251).unwrap()).collect()
}

#[test]
fn a_stream_arrives_whole_and_in_order_however_much_is_lost() {
    let mut theatre = Theatre::connected(Physics { loss: 0.3, ..Physics::default() });
    let all = numbers(200_000);
    for part in all.chunks(3_333) {
        theatre.write(part.to_vec());
        theatre.pass(MS);
    }
    theatre.pass(60 * SECOND);
    assert_eq!(theatre.puppets[1].heard(), all);
    assert_eq!(theatre.puppets[0].written(), all.len());
}

#[test]
fn a_reader_that_stops_holds_up_the_writer_and_loses_nothing() {
    let physics = Physics { kernel_buffer: 10_000, ..Physics::calm() };
    let mut theatre = Theatre::connected(physics);
    theatre.change(1, |host, _| host.stack().set_reading(false));
    let all = numbers(100_000);
    theatre.write(all.clone());
    theatre.pass(10 * SECOND);
    let taken = theatre.puppets[0].written();
    assert!((10_000..=30_000).contains(&taken), "{taken} bytes taken");
    assert!(theatre.puppets[1].heard().is_empty());

    theatre.change(1, |host, _| host.stack().set_reading(true));
    theatre.release(1);
    theatre.pass(10 * SECOND);
    assert_eq!(theatre.puppets[1].heard(), all);
    assert_eq!(theatre.puppets[0].written(), all.len());
}

#[test]
fn a_cut_holds_traffic_back_until_it_heals() {
    let mut theatre = Theatre::connected(Physics::calm());
    theatre.write(vec![1]);
    theatre.edit(|environment| environment.network.part([HostId::new(0)]));
    theatre.write(vec![2]);
    theatre.pass(30 * SECOND);
    assert!(theatre.puppets[1].heard().is_empty());

    theatre.edit(|environment| environment.network.heal());
    for host in 0..2 {
        theatre.release(host);
    }
    theatre.write(vec![3]);
    theatre.pass(2 * SECOND);
    assert_eq!(theatre.puppets[1].heard(), [1, 2, 3]);
}

#[test]
fn a_severed_connection_falls_silent_and_fills_up() {
    let mut theatre = Theatre::connected(Physics { kernel_buffer: 1_000, ..Physics::calm() });
    for host in 0..2 {
        theatre.change(host, |this, _| this.stack().sever(|_| true));
    }
    theatre.write(numbers(5_000));
    theatre.pass(100 * SECOND);
    assert_eq!(theatre.puppets[0].written(), 1_000);
    assert!(theatre.puppets[1].heard().is_empty());
    assert!(theatre.puppets.iter().all(|puppet| puppet.downs().is_empty()));
}

#[test]
fn dials_are_refused_or_time_out_or_are_answered_when_the_cut_heals() {
    let mut theatre = Theatre::new(Physics::calm());
    let nobody = "10.99.0.1:8888".parse().unwrap();
    theatre.pull(0, Effect::Dial { link: LinkId::of_core(1), kind: LinkKind::Tcp, to: nobody });
    let wrong_port = "10.1.0.1:1".parse().unwrap();
    theatre.pull(0, Effect::Dial { link: LinkId::of_core(2), kind: LinkKind::Tcp, to: wrong_port });
    theatre.edit(|environment| environment.network.part([HostId::new(0)]));
    theatre.pull(
        0,
        Effect::Dial {
            link: LinkId::of_core(3),
            kind: LinkKind::Tcp,
            to: AddressBlock::Private.of(1),
        },
    );
    theatre.pass(4 * SECOND);
    theatre.edit(|environment| environment.network.heal());
    theatre.pass(30 * SECOND);
    assert_eq!(theatre.puppets[0].downs(), [LinkDown::Refused, LinkDown::TimedOut]);
    let connected = Input::Connected { link: LinkId::of_core(3), certificate: None };
    assert!(theatre.puppets[0].seen().iter().any(|(_, input)| *input == connected));
}

#[test]
fn a_flushed_link_delivers_everything_and_an_aborted_one_is_reset() {
    for (how, there) in [(Hangup::Flush, LinkDown::Eof), (Hangup::Abort, LinkDown::Reset)] {
        let mut theatre = Theatre::connected(Physics { kernel_buffer: 1_000, ..Physics::calm() });
        let all = numbers(20_000);
        theatre.write(all.clone());
        theatre.pull(0, Effect::Hangup { link: LINK, how });
        theatre.pass(4 * SECOND);
        assert_eq!(theatre.puppets[0].downs(), [LinkDown::HungUp], "{how:?}");
        assert_eq!(theatre.puppets[1].downs(), [there], "{how:?}");
        let heard = theatre.puppets[1].heard();
        assert_eq!(heard == all, how == Hangup::Flush, "{how:?}: {} bytes", heard.len());
    }
}

#[test]
fn a_killed_process_resets_its_links_and_a_power_cut_does_not() {
    let mut theatre = Theatre::connected(Physics::calm());
    theatre.touch(1);
    theatre.change(1, Host::kill);
    theatre.pass(SECOND);
    assert_eq!(theatre.puppets[0].downs(), [LinkDown::Reset]);

    let mut theatre = Theatre::connected(Physics::calm());
    theatre.change(1, |host, _| host.cut_power());
    theatre.write(Bytes::from_static(b"hello").to_vec());
    theatre.pass(10 * SECOND);
    assert!(theatre.puppets[0].downs().is_empty());
    // With power its kernel knows of no such connection.
    theatre.change(1, |host, _| host.stack().restore_power());
    theatre.write(Bytes::from_static(b"again").to_vec());
    theatre.pass(SECOND);
    assert_eq!(theatre.puppets[0].downs(), [LinkDown::Reset]);
}
