//! What a node says of itself and of all that have a message from it, added up.

use bytes::BufMut as _;

use super::TraceConfig;
use crate::{
    id::NodeId,
    limits::{MAX_TRACE_SAMPLE, TRACE_DEPTHS, TRACE_TIMES},
    rng::Rng,
    time::Duration,
    wire::{Malformed, Reader, Writer as _},
};

/// The sum over a subtree. Depths and times count from its root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceSum {
    /// Nodes that say that the message came to them.
    pub reached: u32,
    /// Nodes that say nothing of themselves.
    pub declined: u32,
    /// Nodes that said nothing at all of what came of the message at them, by reason.
    pub lost: [u32; Loss::ALL.len()],
    /// How many of `reached` are how many hops away; the last has all that are farther.
    pub depths: [u32; TRACE_DEPTHS],
    /// How many times the message lay how long at a node before it went on: below 1 ms, 2 ms, 4 ms
    /// and so on.
    pub holds: [u32; TRACE_TIMES],
    /// Microseconds until the last of `reached` had it.
    pub longest: u32,
    /// The hop that took longest.
    pub slowest: Option<SlowestHop>,
    /// Some answer claimed more nodes than there can be, and was cut.
    pub implausible: bool,
    /// Whether the root may be named. Who it is nobody has to say: it is the one who answers.
    pub named: bool,
    /// Some of `reached`, drawn at random; all of them if they fit.
    pub sample: Vec<SampledNode>,
}

/// Why it is not known what came of a message at a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// It did not answer in time, or before it went away.
    Silent,
    /// It was not connected any more to the node that it has the message from.
    Gone,
    /// It remembers nothing of the message.
    Forgotten,
    /// It had too many traces to answer.
    Busy,
    /// It is farther away than a trace goes.
    TooDeep,
}

impl Loss {
    /// Every reason, in the order of the wire.
    pub const ALL: [Self; 5] =
        [Self::Silent, Self::Gone, Self::Forgotten, Self::Busy, Self::TooDeep];
}

/// The beginning of the id of a node that allows it; zeros of one that does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodePrefix<const N: usize>(pub [u8; N]);

impl<const N: usize> Default for NodePrefix<N> {
    fn default() -> Self {
        Self([0; N])
    }
}

impl<const N: usize> NodePrefix<N> {
    /// That of `node`, if it is to be named.
    pub fn of(node: Option<&NodeId>) -> Self {
        let mut prefix = [0; N];
        if let Some(node) = node {
            prefix.copy_from_slice(&node.as_bytes()[..N]);
        }
        Self(prefix)
    }

    /// Whether a node is named.
    pub fn is_named(&self) -> bool {
        self.0 != [0; N]
    }
}

/// The hop that took longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowestHop {
    /// From whom.
    pub from: NodePrefix<6>,
    /// To whom.
    pub to: NodePrefix<6>,
    /// How many hops away `to` is.
    pub depth: u8,
    /// Microseconds.
    pub micros: u32,
}

/// One node that the message came to: 16 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SampledNode {
    /// Who.
    pub node: NodePrefix<6>,
    /// From whom it has the message.
    pub parent: NodePrefix<3>,
    /// How many hops away it is.
    pub depth: u8,
    /// How long the last hop took, in steps of 100 µs.
    pub hop: u32,
    /// How long all of them took, in steps of 100 µs.
    pub total: u32,
}

impl TraceSum {
    /// A node alone.
    pub(super) fn of_itself(says: TraceConfig) -> Self {
        if !says.answer {
            return Self { declined: 1, ..Self::default() };
        }
        let mut depths = [0; TRACE_DEPTHS];
        depths[0] = 1;
        let sample = vec![SampledNode::default()];
        Self { reached: 1, depths, sample, named: says.name, ..Self::default() }
    }

    /// So many nodes are lost.
    pub(super) fn lose(&mut self, why: Loss, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let lost = &mut self.lost[why as usize];
        *lost = add(*lost, count);
    }

    /// A message lay here so long before it went on.
    pub(super) fn hold(&mut self, held: Duration) {
        let bucket = time_bucket(held);
        self.holds[bucket] = add(self.holds[bucket], 1);
    }

    /// Adds what a child said, which had the message so many microseconds after us. We go by the
    /// name of `me`.
    pub(super) fn add_child(
        &mut self,
        me: Option<&NodeId>,
        (id, mut child): (&NodeId, Self),
        hop: u32,
        dice: &mut Rng,
    ) {
        let name = child.named.then_some(id);
        for sampled in &mut child.sample {
            if sampled.depth == 0 {
                sampled.node = NodePrefix::of(name);
                (sampled.hop, sampled.parent) = (hundreds(hop), NodePrefix::of(me));
            }
            sampled.depth = deeper(sampled.depth);
            sampled.total = sampled.total.saturating_add(hundreds(hop)).min(MAX_HUNDREDS);
        }
        for (depth, count) in child.depths.iter().enumerate() {
            let depth = (depth + 1).min(TRACE_DEPTHS - 1);
            self.depths[depth] = add(self.depths[depth], *count);
        }
        for (all, more) in self.holds.iter_mut().zip(child.holds) {
            *all = add(*all, more);
        }
        for (all, more) in self.lost.iter_mut().zip(child.lost) {
            *all = add(*all, more);
        }
        if child.reached > 0 {
            self.longest = self.longest.max(child.longest.saturating_add(hop));
        }
        self.slow(
            child.slowest.map(|slowest| SlowestHop { depth: deeper(slowest.depth), ..slowest }),
        );
        self.implausible |= child.implausible;
        self.draw(child.sample, child.reached, dice);
        self.reached = add(self.reached, child.reached);
        self.declined = add(self.declined, child.declined);
    }

    /// A hop that may be the slowest.
    pub(super) fn slow(&mut self, hop: Option<SlowestHop>) {
        let slower = |hop: &SlowestHop| self.slowest.is_none_or(|most| most.micros < hop.micros);
        if let Some(hop) = hop.filter(slower) {
            self.slowest = Some(hop);
        }
    }

    /// Everybody that it speaks of.
    pub fn nodes(&self) -> u64 {
        let lost: u64 = self.lost.iter().map(|lost| u64::from(*lost)).sum();
        u64::from(self.reached) + u64::from(self.declined) + lost
    }

    /// Cuts what it claims to `most` nodes, and says so, if it claims more.
    pub(super) fn cap(&mut self, most: u32) {
        if self.nodes() <= u64::from(most) {
            return;
        }
        self.implausible = true;
        let all = self.nodes();
        let cut = |count: &mut u32| {
            let share = u64::from(*count) * u64::from(most) / all;
            *count = u32::try_from(share).unwrap_or(most);
        };
        self.depths.iter_mut().chain(&mut self.lost).for_each(cut);
        cut(&mut self.declined);
        self.holds.iter_mut().for_each(cut);
        self.reached = self.depths.iter().sum();
        if self.reached == 0 {
            self.declined = self.declined.max(1);
        }
        // Fewer hops than nodes, whatever was rounded off.
        let mut most = self.reached + self.declined - 1;
        for count in &mut self.holds {
            *count = (*count).min(most);
            most -= *count;
        }
        self.sample.truncate(usize::try_from(self.reached).unwrap_or(usize::MAX));
    }

    /// Draws a sample of both, in proportion to how many each stands for.
    fn draw(&mut self, theirs: Vec<SampledNode>, of: u32, dice: &mut Rng) {
        if self.sample.len() + theirs.len() <= MAX_TRACE_SAMPLE {
            self.sample.extend(theirs);
            return;
        }
        let mut pools = [(core::mem::take(&mut self.sample), self.reached), (theirs, of)];
        while self.sample.len() < MAX_TRACE_SAMPLE {
            let left = pools.each_ref().map(|(pool, of)| if pool.is_empty() { 0 } else { *of });
            let all = u64::from(left[0]) + u64::from(left[1]);
            if all == 0 {
                break;
            }
            let which = usize::from(dice.below(all) >= u64::from(left[0]));
            let (pool, of) = &mut pools[which];
            let drawn = pool.swap_remove(dice.index(pool.len()));
            *of = of.saturating_sub(1).max(u32::from(!pool.is_empty()));
            self.sample.push(drawn);
        }
    }
}

impl TraceSum {
    pub(super) fn size_hint(&self) -> usize {
        200 + SAMPLED_LEN * self.sample.len()
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let counts = [self.reached, self.declined].into_iter().chain(self.lost);
        for count in counts.chain(self.depths).chain(self.holds) {
            out.append_varint(u64::from(count));
        }
        out.put_u32(self.longest);
        let flags = [self.implausible, self.slowest.is_some(), self.named];
        out.put_u8(flags.iter().rev().fold(0, |byte, flag| byte << 1 | u8::from(*flag)));
        if let Some(SlowestHop { from, to, depth, micros }) = self.slowest {
            out.append_raw(&from.0);
            out.append_raw(&to.0);
            out.put_u8(depth);
            out.put_u32(micros);
        }
        out.append_varint(self.sample.len() as u64);
        for SampledNode { node, parent, depth, hop, total } in &self.sample {
            out.append_raw(&node.0);
            out.append_raw(&parent.0);
            out.put_u8(*depth);
            out.append_raw(&hop.to_be_bytes()[1..]);
            out.append_raw(&total.to_be_bytes()[1..]);
        }
    }

    /// Reads a sum whose numbers fit each other.
    pub(super) fn decode(reader: &mut Reader) -> Result<Self, Malformed> {
        let mut sum = Self { reached: count(reader)?, declined: count(reader)?, ..Self::default() };
        for counted in sum.lost.iter_mut().chain(&mut sum.depths).chain(&mut sum.holds) {
            *counted = count(reader)?;
        }
        let total = |counts: &[u32]| counts.iter().map(|count| u64::from(*count)).sum::<u64>();
        if total(&sum.depths) != u64::from(sum.reached) {
            return Err(reader.malformed("depths of more or fewer nodes than were reached"));
        }
        if total(&sum.holds) >= u64::from(sum.reached) + u64::from(sum.declined) {
            return Err(reader.malformed("as many hops as nodes"));
        }
        sum.longest = reader.u32()?;
        let unknown = reader.malformed("flags of a trace");
        let flags = reader.u8()?;
        if flags > 7 {
            return Err(unknown);
        }
        (sum.implausible, sum.named) = (flags & 1 != 0, flags & 4 != 0);
        if flags & 2 != 0 {
            sum.slowest = Some(SlowestHop {
                from: NodePrefix(reader.array()?),
                to: NodePrefix(reader.array()?),
                depth: depth(reader)?,
                micros: reader.u32()?,
            });
        }
        let wrong = reader.malformed("sample of more or fewer nodes than there are");
        let len = reader.len(MAX_TRACE_SAMPLE)?;
        if len != MAX_TRACE_SAMPLE.min(usize::try_from(sum.reached).unwrap_or(usize::MAX)) {
            return Err(wrong);
        }
        for _ in 0..len {
            sum.sample.push(SampledNode {
                node: NodePrefix(reader.array()?),
                parent: NodePrefix(reader.array()?),
                depth: depth(reader)?,
                hop: three_bytes(reader)?,
                total: three_bytes(reader)?,
            });
        }
        Ok(sum)
    }
}

/// Which bucket of a histogram of times has it.
pub(super) fn time_bucket(time: Duration) -> usize {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let doublings = usize::try_from(u64::BITS - millis.leading_zeros()).unwrap_or(usize::MAX);
    doublings.min(TRACE_TIMES - 1)
}

/// Steps of 100 µs.
fn hundreds(micros: u32) -> u32 {
    (micros / 100).min(MAX_HUNDREDS)
}

fn deeper(depth: u8) -> u8 {
    depth.saturating_add(1).min(DEEPEST)
}

fn add(a: u32, b: u32) -> u32 {
    a.saturating_add(b).min(MAX_COUNT)
}

fn count(reader: &mut Reader) -> Result<u32, Malformed> {
    let too_many = reader.malformed("count above its limit");
    let count = u32::try_from(reader.varint()?).map_err(|_| too_many)?;
    if count > MAX_COUNT { Err(too_many) } else { Ok(count) }
}

fn depth(reader: &mut Reader) -> Result<u8, Malformed> {
    let too_deep = reader.malformed("depth above its limit");
    let depth = reader.u8()?;
    if depth > DEEPEST { Err(too_deep) } else { Ok(depth) }
}

fn three_bytes(reader: &mut Reader) -> Result<u32, Malformed> {
    let [a, b, c] = reader.array()?;
    Ok(u32::from_be_bytes([0, a, b, c]))
}

/// Bytes of one node of a sample.
const SAMPLED_LEN: usize = 16;
/// What a varint of four bytes carries (RFC 9000, 16).
const MAX_COUNT: u32 = (1 << 30) - 1;
/// What three bytes carry.
const MAX_HUNDREDS: u32 = (1 << 24) - 1;
/// The last bucket of the depths.
const DEEPEST: u8 = 15;
const _: () = assert!(DEEPEST as usize == TRACE_DEPTHS - 1, "one bucket each");
