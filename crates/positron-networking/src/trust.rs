//! What a node makes of others, and what it says of that and hears.

use positron_proto::{
    id::NodeId,
    node::{Command, Outcome, Refused},
    recommendation::NotRecommended,
    shown::ratio,
    words::Recommendation,
};
use tokio::sync::oneshot;

use crate::{PeerDetail, TrustedPeer, driver::Order, orders::Orders};

/// What a node makes of others, whom it recommends, and whom others recommend: cheap to clone.
///
/// Scores are made of what peers do, and of nothing that anybody says. A word of a peer that did
/// well raises the [regard](crate::PeerStanding::regard) for one that did nothing yet, by a fifth
/// of the way from a stranger's score to the highest at most and however many say so: it is dialled
/// before others, keeps its slot before others, and is believed before others. Nobody is banned,
/// and nobody's ban is lifted, for a word.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use positron_networking::{NetworkConfig, Node};
///
/// let alice = Node::start(NetworkConfig::loopback()).await.unwrap();
/// let bob = Node::start(NetworkConfig::loopback()).await.unwrap();
/// alice.join(&bob.listen_addresses()[0].to_string()).await.unwrap();
///
/// for peer in alice.trust_manager().get_trusted_peers(0.4).await {
///     println!("{}: {:.2}", peer.node_id, peer.trust_score);
/// }
/// // Bob has seen nothing yet for which he would trust anybody.
/// assert!(alice.request_trusted_peers(bob.id()).await.unwrap().is_empty());
/// assert_eq!(alice.share_trusted_peers().await.unwrap(), 1);
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct TrustManager {
    orders: Orders,
}

/// Why nothing was said or heard of trust.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// The node did not take it.
    #[error(transparent)]
    Refused(Refused),
    /// The peer was not asked, or did not answer.
    #[error(transparent)]
    NotRecommended(NotRecommended),
    /// The node stopped.
    #[error("the node stopped")]
    Stopped,
}

impl TrustManager {
    pub(crate) const fn new(orders: Orders) -> Self {
        Self { orders }
    }

    /// The peers with at least this score (0.0 to `max_trust_score`), connected or not, the most
    /// trusted first, as they are now.
    pub async fn get_trusted_peers(&self, min_trust: f64) -> Vec<TrustedPeer> {
        let (reply, trusted) = oneshot::channel();
        // A node that stopped trusts nobody.
        let _ = self.orders.send(Order::Trusted { min_trust, reply }).await;
        trusted.await.unwrap_or_default()
    }

    /// Why the score of `peer` is what it is, entry by entry, and who recommends it. `None`: the
    /// node stopped.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # use positron_networking::{NetworkConfig, Node};
    /// # let alice = Node::start(NetworkConfig::loopback()).await.unwrap();
    /// # let bob = Node::start(NetworkConfig::loopback()).await.unwrap();
    /// # alice.join(&bob.listen_addresses()[0].to_string()).await.unwrap();
    /// alice.report(bob.id(), "a block without a parent").await.unwrap();
    /// let detail = alice.trust_manager().explain(bob.id()).await.unwrap();
    /// let mut totals = detail.standing.totals.iter();
    /// let why = totals.find(|total| total.observation == "reported").unwrap();
    /// assert!(why.times == 1 && why.change < 0.0);
    /// let queued = detail.bounds.unwrap().session.queued_bytes;
    /// assert!(queued.used < queued.limit);
    /// # });
    /// ```
    pub async fn explain(&self, peer: NodeId) -> Option<PeerDetail> {
        let (reply, detail) = oneshot::channel();
        self.orders.send(Order::PeerDetail { peer, reply }).await.ok()?;
        detail.await.ok()
    }

    /// Asks a connected peer whom it trusts, by what it saw itself; 32 nodes at most, the most
    /// trusted first. Its word counts from now on, in place of what it said before and for a day.
    /// The scores are the peer's, on the scale of this node.
    ///
    /// # Errors
    /// [`NotRecommended`], if it is not connected, leaves, or does not answer in ten seconds; or if
    /// it was asked more than four times at once and then once in ten seconds.
    pub async fn request_trusted_peers(
        &self,
        peer: NodeId,
    ) -> Result<Vec<TrustedPeer>, TrustError> {
        let outcome = self.command(Command::AskTrusted { peer }).await?;
        let Outcome::Recommended(recommended) = outcome else {
            return Err(match outcome {
                Outcome::NotRecommended(NotRecommended::Stopped) => TrustError::Stopped,
                Outcome::NotRecommended(why) => TrustError::NotRecommended(why),
                _ => TrustError::Stopped,
            });
        };
        // A stranger's score and the highest are the same for all.
        let scale = self.explain(peer).await.ok_or(TrustError::Stopped)?.standing;
        let (from, to) = (scale.initial_score, scale.max_score);
        let trusted = |word: &Recommendation| TrustedPeer {
            node_id: word.node,
            trust_score: ratio(from + word.share() * (to - from)),
            address: None,
        };
        let mut trusted: Vec<TrustedPeer> = recommended.iter().map(trusted).collect();
        trusted.sort_by(|a, b| b.trust_score.total_cmp(&a.trust_score));
        Ok(trusted)
    }

    /// Tells all connected peers whom this node trusts by what it saw itself: the 32 best of those
    /// that went four tenths of the way from a stranger's score to the highest. To how many peers
    /// it was told: not to those that were told four times at once and then once in ten seconds.
    /// It is told once an hour by itself.
    ///
    /// # Errors
    /// The node stopped.
    pub async fn share_trusted_peers(&self) -> Result<usize, TrustError> {
        match self.command(Command::ShareTrusted).await? {
            Outcome::Shared { peers } => Ok(peers),
            _ => Err(TrustError::Stopped),
        }
    }

    async fn command(&self, command: Command) -> Result<Outcome, TrustError> {
        let outcome = self.orders.command(command, None).await.ok_or(TrustError::Stopped)?;
        outcome.map_err(|why| match why {
            Refused::NotRecommended(why) => TrustError::NotRecommended(why),
            Refused::Stopping => TrustError::Stopped,
            why => TrustError::Refused(why),
        })
    }
}
