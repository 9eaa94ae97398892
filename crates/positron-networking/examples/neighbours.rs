//! What an application decides about its peers: who always has a slot, who is sent away, and for
//! how long. Runs on this machine.

use std::time::Duration;

use positron_networking::{NetworkConfig, Node};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [alice, bob, mallory] = [(); 3].map(|()| Node::start(NetworkConfig::loopback()));
    let (alice, bob, mallory) = (alice.await?, bob.await?, mallory.await?);
    let invite = alice.invite().ok_or("alice listens nowhere")?.to_string();
    alice.reserve(bob.id(), None).await?;
    bob.join(&invite).await?;
    mallory.join(&invite).await?;

    alice.report(mallory.id(), "blocks that lead nowhere").await?;
    alice.ban(mallory.id(), "more of them", Duration::from_secs(3600)).await?;
    for ban in alice.bans().await {
        println!("{:?} until {}: {:?}", ban.of, ban.until_unix_secs, ban.reason);
    }
    if let Err(refused) = mallory.join(&invite).await {
        println!("mallory hears: {refused}");
    }
    alice.unban(mallory.id()).await?;
    println!("{} is welcome again", mallory.join(&invite).await?.short());
    Ok(())
}
