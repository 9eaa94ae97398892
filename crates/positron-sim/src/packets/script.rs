//! A story of packets that nobody wrote: everything that can go wrong, drawn from a seed.

use positron_internet::{Bursts, PathLaws};
use positron_proto::{
    datagram::{
        Tuning,
        contract::{CongestionAlgorithm, Delivery},
    },
    limits::{
        CONNECTION_WINDOW_FIRST, CONNECTION_WINDOW_LEAST, LANES, LEAST_DATAGRAM,
        MAX_DATAGRAM_MESSAGE, MESSAGE_COST,
    },
    rng::Seed,
    time::Duration,
};

use super::story::{Act, Attacker, End, Ending, PacketStory, StaticKey, Whom};
use crate::dice::{Dice, named_dice};

/// How long everything that waits may take when it is calm: twice the longest retransmission
/// timeout, an idle timeout, and time to carry what waits.
const LIMIT: Duration = Duration::from_secs(90);

/// The story of a seed: 2 to 20 s of everything, then calm; now and then one of keys in haste, or
/// of a window that is narrower than what goes through it.
pub fn storm(seed: u64) -> PacketStory {
    let mut dice = named_dice(&Seed::from_number(seed), "packet haste");
    if dice.chance(0.02) {
        return haste(&mut dice);
    }
    if dice.chance(0.02) {
        return narrow(&mut dice);
    }
    let mut dice = named_dice(&Seed::from_number(seed), "packet storm");
    let dice = &mut dice;
    let count = *pick(dice, &[2, 2, 2, 2, 3, 4]);
    let mut ends: Vec<End> = (0..count).map(|_| end(dice)).collect();
    // One after the other, so that no draw of another kind depends on which there are.
    let control = usize::try_from(seed).unwrap_or(0) % CongestionAlgorithm::ALL.len();
    for end in &mut ends {
        end.congestion = CongestionAlgorithm::ALL[control];
    }
    let tuning = tuning(dice, &ends);
    let weather = weather(dice);
    let mut laws: Vec<PathLaws> = Vec::new();
    for _ in 0..count * count {
        laws.push(path(dice, weather));
    }
    // Both directions of a way have about the same length.
    for from in 0..count {
        for to in 0..from {
            laws[from * count + to].delay = laws[to * count + from].delay;
        }
    }
    let calm_at = Duration::from_secs(2 + below_one(dice, &[3, 8, 18]));
    let mut acts = acts(dice, &ends, calm_at);
    if weather != Weather::Fair || dice.chance(0.2) {
        troubles(dice, count, calm_at, &laws, &mut acts);
    }
    acts.sort_by_key(|(at, _)| *at);
    let attacker = (weather == Weather::Hostile).then(|| attacker(dice));
    PacketStory { ends, tuning, laws, acts, attacker, calm_at, limit: LIMIT }
}

/// Keys that would change more than once in a round trip, if nobody waited for acknowledgments.
/// Elsewhere a key lasts longer than all that may be in flight, because an end that can neither
/// change its key nor use it any longer falls silent. Here only one end talks, and nothing is
/// lost, so that it is known how much it seals before it hears of it: what fills the window.
fn haste(dice: &mut Dice) -> PacketStory {
    const BYTES: usize = 1_100;
    let window = CONNECTION_WINDOW_FIRST / (BYTES + MESSAGE_COST);
    // While the key before is kept, a new one is due after one and a half times its share; after
    // twice that it is used up.
    let packets_per_key = u64::try_from(window * 4 / 7).unwrap_or(u64::MAX);
    let tuning = Tuning { packets_per_key, first_number: (1 << 32) - dice.below(1_000) };
    let end = End {
        window_bytes: CONNECTION_WINDOW_FIRST,
        queue_bytes: 4 << 20,
        max_datagram: LEAST_DATAGRAM,
        segments: *pick(dice, &[1, 10, 64]),
        ..End::plain()
    };
    let laws = PathLaws::calm(*pick(dice, &[ms(10), ms(30), ms(100)]));
    let times = 1_000 + u32::try_from(dice.below(1_000)).unwrap_or(0);
    let from = dice.index(2);
    let key = StaticKey::Right;
    let acts = vec![
        (ms(0), Act::Dial { from, to: 1 - from, whom: Whom::Right, key }),
        (ms(0), Act::Say { from, lane: 1, delivery: Delivery::Ordered, bytes: BYTES, times }),
    ];
    let (ends, laws) = (vec![end; 2], vec![laws; 4]);
    let calm_at = Duration::from_secs(4);
    PacketStory { ends, tuning, laws, acts, attacker: None, calm_at, limit: LIMIT }
}

/// Messages in order, whole and in pieces, many of them larger than the window, over a path that
/// loses much: what has arrived keeps the window closed until what was lost comes.
fn narrow(dice: &mut Dice) -> PacketStory {
    let end = End {
        window_bytes: CONNECTION_WINDOW_LEAST,
        queue_bytes: 4 << 20,
        max_datagram: *pick(dice, &[1_472, 9_000, 16 * 1024]),
        segments: *pick(dice, &[1, 10]),
        ..End::plain()
    };
    let mut laws = PathLaws::calm(*pick(dice, &[ms(1), ms(10), ms(30)]));
    laws.loss = *pick(dice, &[0.1, 0.2, 0.3]);
    let calm_at = Duration::from_secs(8);
    let key = StaticKey::Right;
    let mut acts = vec![(ms(0), Act::Dial { from: 0, to: 1, whom: Whom::Right, key })];
    for _ in 0..40 {
        let bytes = *pick(dice, &[100, 100, 1_000, 8_000, 15_000, 40_000, 80_000]);
        let times = if bytes <= 1_000 { 1 + u32::try_from(dice.below(8)).unwrap_or(0) } else { 1 };
        let say = Act::Say { from: 0, lane: 0, delivery: Delivery::Ordered, bytes, times };
        acts.push((up_to(dice, ms(3_000)), say));
    }
    if dice.chance(0.5) {
        let laws = PathLaws { mtu: LEAST_DATAGRAM, ..laws };
        acts.push((up_to(dice, ms(4_000)), Act::Change { from: 0, to: 1, laws }));
    }
    acts.sort_by_key(|(at, _)| *at);
    let (ends, laws) = (vec![end; 2], vec![laws; 4]);
    let tuning = Tuning::default();
    PacketStory { ends, tuning, laws, acts, attacker: None, calm_at, limit: LIMIT }
}

/// What kind of story it is; all of everything at once would hide much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weather {
    /// Nothing is lost.
    Fair,
    /// Some is lost, doubled, overtaken or damaged.
    Rough,
    /// Much is.
    Foul,
    /// Somebody means harm.
    Hostile,
}

fn weather(dice: &mut Dice) -> Weather {
    use Weather::{Fair, Foul, Hostile, Rough};
    *pick(dice, &[Fair, Fair, Rough, Rough, Rough, Foul, Foul, Hostile, Hostile])
}

fn pick<'a, T>(dice: &mut Dice, from: &'a [T]) -> &'a T {
    &from[dice.index(from.len())]
}

/// Below one of these.
fn below_one(dice: &mut Dice, from: &[u64]) -> u64 {
    let bound = *pick(dice, from);
    dice.below(bound)
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn up_to(dice: &mut Dice, most: Duration) -> Duration {
    dice.between((Duration::ZERO, most))
}

fn end(dice: &mut Dice) -> End {
    let plain = End::plain();
    let slow = dice.chance(0.25);
    End {
        queue_bytes: *pick(dice, &[64 << 10, 256 << 10, 1 << 20, 4 << 20]),
        window_bytes: *pick(dice, &[64 << 10, 256 << 10, 1 << 20, 4 << 20]),
        keep_alive: Some(ms(*pick(dice, &[300, 1_000, 3_000]))),
        idle_timeout: Duration::from_secs(*pick(dice, &[3, 6, 15])),
        max_datagram: *pick(dice, &[1_200, 1_472, 9_000, 16 * 1024]),
        congestion: plain.congestion,
        late: *pick(dice, &[(Duration::ZERO, Duration::ZERO), (Duration::ZERO, ms(2))]),
        gather: *pick(dice, &[Duration::ZERO, Duration::ZERO, Duration::from_micros(200)]),
        segments: *pick(dice, &[1, 2, 10, 64]),
        reader: if slow { (Duration::ZERO, ms(*pick(dice, &[2, 20, 200]))) } else { plain.reader },
        reads: *pick(dice, &[1_000, 64 << 10]),
    }
}

/// For a third, numbers come around after some hundred packets, and keys change as often as what
/// may be in flight allows.
fn tuning(dice: &mut Dice, ends: &[End]) -> Tuning {
    let (before, least) = (dice.below(500), *pick(dice, &[100, 300]));
    if !dice.chance(0.34) {
        return Tuning::default();
    }
    let queued = ends.iter().map(|end| end.queue_bytes).max().unwrap_or(0);
    let room = ends.iter().map(|end| end.window_bytes).max().unwrap_or(0);
    let in_flight = u64::try_from(queued.min(room) / LEAST_DATAGRAM).unwrap_or(0);
    Tuning { packets_per_key: least + in_flight, first_number: (1 << 32) - before }
}

fn path(dice: &mut Dice, weather: Weather) -> PathLaws {
    let delay = *pick(dice, &[ms(0), ms(1), ms(10), ms(30), ms(100)]);
    let mut laws = PathLaws::calm(delay + up_to(dice, ms(2)) + Duration::from_micros(20));
    let mild = weather == Weather::Fair;
    if dice.chance(0.3) {
        laws.jitter = (Duration::ZERO, *pick(dice, &[ms(1), ms(10)]));
    }
    if dice.chance(0.3) {
        laws.detours = if mild { 0.01 } else { *pick(dice, &[0.01, 0.1, 0.3]) };
        laws.detour = (Duration::ZERO, *pick(dice, &[ms(1), ms(5), ms(50)]));
    }
    if mild {
        return laws;
    }
    let hard = weather == Weather::Foul;
    if dice.chance(0.7) {
        laws.loss = *pick(dice, if hard { &[0.1, 0.2, 0.4] } else { &[0.001, 0.01, 0.05] });
    }
    if dice.chance(0.3) {
        let loss = if hard { 1.0 } else { 0.5 };
        laws.bursts = Some(Bursts { begin: 0.01, end: *pick(dice, &[0.1, 0.3]), loss });
    }
    if dice.chance(0.3) {
        laws.duplicates = *pick(dice, &[0.01, 0.2]);
    }
    if dice.chance(0.2) {
        laws.damage = *pick(dice, &[0.005, 0.05]);
    }
    if dice.chance(0.3) {
        laws.rate = Some(*pick(dice, &[60_000, 500_000, 10_000_000]));
        laws.queue = *pick(dice, &[5_000, 30_000, 200_000]);
    }
    if dice.chance(0.2) {
        laws.mtu = *pick(dice, &[1_200, 1_280, 1_472, 8_900]);
    }
    laws
}

fn acts(dice: &mut Dice, ends: &[End], calm_at: Duration) -> Vec<(Duration, Act)> {
    let mut acts = Vec::new();
    for n in 0..1 + dice.below(3) {
        let at = if n == 0 { Duration::ZERO } else { up_to(dice, calm_at) };
        acts.push((at, dial(dice, ends.len())));
    }
    let about = 1 + below_one(dice, &[5, 20, 60]);
    // Not too much in all, so that many seeds are quick.
    let mut bytes_left: u64 = *pick(dice, &[100_000, 500_000, 3_000_000]);
    for _ in 0..about {
        let at = if dice.chance(0.3) { ms(dice.below(50)) } else { up_to(dice, calm_at) };
        let act = saying(dice, ends, &mut bytes_left);
        acts.push((at, act));
    }
    acts
}

fn dial(dice: &mut Dice, ends: usize) -> Act {
    let from = dice.index(ends);
    let to = (from + 1 + dice.index(ends - 1)) % ends;
    let key = *pick(
        dice,
        &[
            StaticKey::Right,
            StaticKey::Right,
            StaticKey::Unknown,
            StaticKey::Unknown,
            StaticKey::Wrong,
        ],
    );
    let whom = match dice.below(10) {
        0 => Whom::Wrong,
        1 | 2 => Whom::Anyone,
        _ => Whom::Right,
    };
    // With no idea who is there, there is no key either.
    let key = if whom == Whom::Anyone { StaticKey::Unknown } else { key };
    Act::Dial { from, to, whom, key }
}

fn saying(dice: &mut Dice, ends: &[End], bytes_left: &mut u64) -> Act {
    let from = dice.index(ends.len());
    let lane = u8::try_from(below_one(dice, &[1, 3, u64::from(LANES)])).unwrap_or(0);
    let most = ends.iter().map(|end| end.queue_bytes.min(end.window_bytes)).min().unwrap_or(0) / 4;
    if dice.chance(0.2) {
        let bytes = *pick(dice, &[0, 1, 1_000, 20_000, 200_000, 700_000]);
        let bytes = bytes.min(*bytes_left);
        *bytes_left -= bytes;
        let ending = *pick(dice, &[Ending::Finish, Ending::Finish, Ending::Finish, Ending::Drop]);
        let ending = if dice.chance(0.1) { Ending::Never } else { ending };
        let chunk = *pick(dice, &[1, 100, 1_500, 60_000]);
        let chunk = if bytes > 20_000 { chunk.max(1_000) } else { chunk };
        return Act::Write { from, lane, bytes, chunk, ending };
    }
    let delivery = *pick(
        dice,
        &[Delivery::Ordered, Delivery::Ordered, Delivery::Unordered, Delivery::Unreliable],
    );
    let near = |at: usize, dice: &mut Dice| at + dice.index(60) - 30;
    let bytes = match dice.below(12) {
        0 => 0,
        1 => 1,
        2 | 3 => dice.index(200),
        4 => near(1_200 - 60, dice),
        5 => near(1_472 - 60, dice),
        6 => 3_000,
        7 => near(16_384, dice),
        8 => 60_000,
        9 if dice.chance(0.2) => MAX_DATAGRAM_MESSAGE + dice.index(2),
        10 if dice.chance(0.2) => MAX_DATAGRAM_MESSAGE,
        _ => 100,
    };
    let bytes = if bytes > MAX_DATAGRAM_MESSAGE { bytes } else { bytes.min(most) };
    let cost = u64::try_from(bytes).unwrap_or(0).max(40);
    let times = (1 + below_one(dice, &[1, 1, 10, 200])).min(*bytes_left / cost);
    *bytes_left -= times * cost;
    Act::Say { from, lane, delivery, bytes, times: u32::try_from(times).unwrap_or(1) }
}

/// What happens beside talking.
fn troubles(
    dice: &mut Dice,
    ends: usize,
    calm_at: Duration,
    laws: &[PathLaws],
    acts: &mut Vec<(Duration, Act)>,
) {
    for _ in 0..dice.below(6) {
        let at = up_to(dice, calm_at);
        let end = dice.index(ends);
        let to = (end + 1 + dice.index(ends - 1)) % ends;
        let most = *pick(dice, &[ms(300), ms(3_000), ms(12_000)]);
        let lasting = up_to(dice, most);
        match dice.below(12) {
            0 => acts.push((at, Act::Close { end })),
            1 => acts.push((at, Act::Reset { end })),
            2 => acts.push((at, Act::Restart { end, away: lasting })),
            3 => acts.push((at, Act::Move { end })),
            4 => acts.push((at, Act::Pause { end, lasting })),
            5 => acts.push((at, Act::Refuse { end })),
            6 => acts.push((at, Act::Cut { from: end, to, lasting })),
            7 | 8 => {
                acts.push((at, Act::Cut { from: end, to, lasting }));
                acts.push((at, Act::Cut { from: to, to: end, lasting }));
            }
            9 => {
                // The path gets narrower, or another one.
                let mut laws = laws[end * ends + to];
                laws.mtu = *pick(dice, &[1_200, 1_300, 1_472]);
                laws.delay += up_to(dice, ms(40));
                acts.push((at, Act::Change { from: end, to, laws }));
            }
            10 if dice.chance(0.1) => {
                let count = u32::try_from(dice.below(400)).unwrap_or(0);
                acts.push((at, Act::Flood { to: end, count }));
            }
            10 => acts.push((at, Act::DialNobody { from: end })),
            _ => acts.push((at, dial(dice, ends))),
        }
    }
}

fn attacker(dice: &mut Dice) -> Attacker {
    let part = |dice: &mut Dice| *pick(dice, &[0.0, 0.01, 0.1, 0.3]);
    Attacker {
        replays: part(dice),
        alters: part(dice),
        races: part(dice) / 3.0,
        steals: *pick(dice, &[0.0, 0.3, 1.0]),
        invents: part(dice),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_makes_one_story_and_all_acts_fit_it() {
        for seed in 0..500 {
            let story = storm(seed);
            assert_eq!(format!("{story:?}"), format!("{:?}", storm(seed)));
            assert!(story.acts.is_sorted_by_key(|(at, _)| *at));
            assert_eq!(story.laws.len(), story.ends.len().pow(2));
            assert!(story.laws.iter().all(|laws| !laws.delay.is_zero()));
        }
    }
}
