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
    session::sessions::{Hangup, LinkDown, LinkKind},
    time::{Duration, Instant, Now},
};

use crate::{
    Adversary, Physics, Scenario, World,
    environment::{Environment, address},
    host::Host,
    machine::Machine,
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
struct Stage {
    world: World,
    puppets: [Puppet; 2],
}

impl Stage {
    fn new(physics: Physics) -> Self {
        let mut scenario = Scenario::quiet("puppets", 0, SECOND).physics(physics);
        scenario.guests = vec![Adversary::Outsider; 2];
        // The strangers themselves never get to start.
        scenario.start_within = 3_600 * SECOND;
        let mut world = World::new(&scenario, 1);
        let puppets = [Puppet::default(), Puppet::default()];
        for (host, puppet) in puppets.iter().enumerate() {
            let machine = Box::new(puppet.clone());
            world.change(host, |this, environment| {
                this.start(Instant::ORIGIN, environment, address(host), machine);
            });
        }
        Self { world, puppets }
    }

    /// With a connection from the first to the second.
    fn connected(physics: Physics) -> Self {
        let mut stage = Self::new(physics);
        stage.pull(0, Effect::Dial { link: LINK, kind: LinkKind::Tcp, to: address(1) });
        stage.pass(5 * SECOND);
        let connected = Input::Connected { link: LINK };
        assert!(stage.puppets[0].seen().iter().any(|(_, input)| *input == connected));
        stage
    }

    fn pull(&mut self, host: usize, effect: Effect) {
        self.puppets[host].pull(effect);
        self.touch(host);
    }

    fn touch(&mut self, host: usize) {
        let now = self.world.now();
        self.change(host, |this, _| this.catch_up(now));
    }

    fn write(&mut self, bytes: Vec<u8>) {
        self.pull(0, Effect::Write { link: LINK, bytes: bytes.into() });
    }

    fn pass(&mut self, time: Duration) {
        let until = self.world.now().since(Instant::ORIGIN) + time;
        self.world.run_until(until);
    }

    fn change<T>(&mut self, host: usize, how: impl FnOnce(&mut Host, &Environment) -> T) -> T {
        self.world.change(host, how)
    }

    fn release(&mut self, host: usize) {
        let now = self.world.now();
        self.change(host, |this, environment| {
            this.catch_up(now);
            this.stack().release_all(now, &environment.network);
        });
    }

    fn edit(&mut self, edit: impl FnOnce(&mut Environment)) {
        edit(self.world.hosts.environment_mut());
    }
}

fn numbers(count: usize) -> Vec<u8> {
    (0..count).map(|n| u8::try_from(n * 7 % 251).unwrap()).collect()
}

#[test]
fn a_stream_arrives_whole_and_in_order_however_much_is_lost() {
    let mut stage = Stage::connected(Physics { loss: 0.3, ..Physics::default() });
    let all = numbers(200_000);
    for part in all.chunks(3_333) {
        stage.write(part.to_vec());
        stage.pass(MS);
    }
    stage.pass(60 * SECOND);
    assert_eq!(stage.puppets[1].heard(), all);
    assert_eq!(stage.puppets[0].written(), all.len());
}

#[test]
fn a_reader_that_stops_holds_up_the_writer_and_loses_nothing() {
    let physics = Physics { kernel_buffer: 10_000, ..Physics::calm() };
    let mut stage = Stage::connected(physics);
    stage.change(1, |host, _| host.stack().set_reading(false));
    let all = numbers(100_000);
    stage.write(all.clone());
    stage.pass(10 * SECOND);
    let taken = stage.puppets[0].written();
    assert!((10_000..=30_000).contains(&taken), "{taken} bytes taken");
    assert!(stage.puppets[1].heard().is_empty());

    stage.change(1, |host, _| host.stack().set_reading(true));
    stage.release(1);
    stage.pass(10 * SECOND);
    assert_eq!(stage.puppets[1].heard(), all);
    assert_eq!(stage.puppets[0].written(), all.len());
}

#[test]
fn a_cut_holds_traffic_back_until_it_heals() {
    let mut stage = Stage::connected(Physics::calm());
    stage.write(vec![1]);
    stage.edit(|environment| environment.network.part([HostId::new(0)]));
    stage.write(vec![2]);
    stage.pass(30 * SECOND);
    assert!(stage.puppets[1].heard().is_empty());

    stage.edit(|environment| environment.network.heal());
    for host in 0..2 {
        stage.release(host);
    }
    stage.write(vec![3]);
    stage.pass(2 * SECOND);
    assert_eq!(stage.puppets[1].heard(), [1, 2, 3]);
}

#[test]
fn a_severed_connection_falls_silent_and_fills_up() {
    let mut stage = Stage::connected(Physics { kernel_buffer: 1_000, ..Physics::calm() });
    for host in 0..2 {
        stage.change(host, |this, _| this.stack().sever(|_| true));
    }
    stage.write(numbers(5_000));
    stage.pass(100 * SECOND);
    assert_eq!(stage.puppets[0].written(), 1_000);
    assert!(stage.puppets[1].heard().is_empty());
    assert!(stage.puppets.iter().all(|puppet| puppet.downs().is_empty()));
}

#[test]
fn dials_are_refused_or_time_out_or_are_answered_when_the_cut_heals() {
    let mut stage = Stage::new(Physics::calm());
    let nobody = "10.99.0.1:8888".parse().unwrap();
    stage.pull(0, Effect::Dial { link: LinkId::of_core(1), kind: LinkKind::Tcp, to: nobody });
    let wrong_port = "10.1.0.1:1".parse().unwrap();
    stage.pull(0, Effect::Dial { link: LinkId::of_core(2), kind: LinkKind::Tcp, to: wrong_port });
    stage.edit(|environment| environment.network.part([HostId::new(0)]));
    stage.pull(0, Effect::Dial { link: LinkId::of_core(3), kind: LinkKind::Tcp, to: address(1) });
    stage.pass(4 * SECOND);
    stage.edit(|environment| environment.network.heal());
    stage.pass(30 * SECOND);
    assert_eq!(stage.puppets[0].downs(), [LinkDown::Refused, LinkDown::TimedOut]);
    let connected = Input::Connected { link: LinkId::of_core(3) };
    assert!(stage.puppets[0].seen().iter().any(|(_, input)| *input == connected));
}

#[test]
fn a_flushed_link_delivers_everything_and_an_aborted_one_is_reset() {
    for (how, there) in [(Hangup::Flush, LinkDown::Eof), (Hangup::Abort, LinkDown::Reset)] {
        let mut stage = Stage::connected(Physics { kernel_buffer: 1_000, ..Physics::calm() });
        let all = numbers(20_000);
        stage.write(all.clone());
        stage.pull(0, Effect::Hangup { link: LINK, how });
        stage.pass(4 * SECOND);
        assert_eq!(stage.puppets[0].downs(), [LinkDown::HungUp], "{how:?}");
        assert_eq!(stage.puppets[1].downs(), [there], "{how:?}");
        let heard = stage.puppets[1].heard();
        assert_eq!(heard == all, how == Hangup::Flush, "{how:?}: {} bytes", heard.len());
    }
}

#[test]
fn a_killed_process_resets_its_links_and_a_power_cut_does_not() {
    let mut stage = Stage::connected(Physics::calm());
    stage.touch(1);
    stage.change(1, Host::kill);
    stage.pass(SECOND);
    assert_eq!(stage.puppets[0].downs(), [LinkDown::Reset]);

    let mut stage = Stage::connected(Physics::calm());
    stage.change(1, |host, _| host.cut_power());
    stage.write(Bytes::from_static(b"hello").to_vec());
    stage.pass(10 * SECOND);
    assert!(stage.puppets[0].downs().is_empty());
    // With power its kernel knows of no such connection.
    stage.change(1, |host, _| host.stack().restore_power());
    stage.write(Bytes::from_static(b"again").to_vec());
    stage.pass(SECOND);
    assert_eq!(stage.puppets[0].downs(), [LinkDown::Reset]);
}
