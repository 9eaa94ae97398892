//! A thousand connections of others.

use std::{error::Error, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::watch,
    task::JoinSet,
    time::{Instant, interval, sleep, timeout},
};

use crate::node_process::NodeProcess;

const STRANGERS: usize = 1_000;
/// Wait before who was sent away comes again.
const COMES_AGAIN: Duration = Duration::from_secs(1);
/// Longest wait for an answer to the owner.
const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) async fn run(seconds: u64) -> Result<(), Box<dyn Error>> {
    let node = Arc::new(NodeProcess::start()?);
    let lasting = Duration::from_secs(seconds);
    let alone = watch_owner(&node, lasting).await?;
    let (stop, stopped) = watch::channel(false);
    let mut strangers = JoinSet::new();
    for nth in 0..STRANGERS {
        strangers.spawn(come_and_go(Arc::clone(&node), nth, stopped.clone()));
    }
    // The rush of all of them at once is over.
    sleep(COMES_AGAIN * 3).await;
    let beside = watch_owner(&node, lasting).await?;
    stop.send_replace(true);
    let (mut answers, mut visits) = (0, 0);
    while let Some(stranger) = strangers.join_next().await {
        let (answered, visited) = stranger?.map_err(|told| format!("a stranger is told {told}"))?;
        (answers, visits) = (answers + answered, visits + visited);
    }
    println!("alone: {alone:.2} % of a processor");
    println!("beside {STRANGERS} strangers who come again each {COMES_AGAIN:?}: {beside:.2} %");
    println!("{visits} connections of strangers, {answers} refusals, no data");
    Ok(())
}

/// The owner asks each second, and is answered; how much of a processor the node took meanwhile.
async fn watch_owner(node: &NodeProcess, lasting: Duration) -> Result<f64, Box<dyn Error>> {
    let (began, before) = (Instant::now(), node.cpu()?);
    let mut pace = interval(Duration::from_secs(1));
    while began.elapsed() < lasting {
        pace.tick().await;
        let fields = format!("Host: {}\r\nAuthorization: {}\r\n", node.api, node.bearer);
        let answer = timeout(DEADLINE, ask(node, &fields, true)).await??;
        if !answer.starts_with("HTTP/1.1 200 ") {
            return Err(format!("the owner is told {answer}").into());
        }
    }
    Ok(100.0 * (node.cpu()? - before).as_secs_f64() / began.elapsed().as_secs_f64())
}

/// One stranger, until it is to stop: how often it was answered, and how often it came. `Err`: it
/// was told something.
async fn come_and_go(
    node: Arc<NodeProcess>,
    nth: usize,
    mut stopped: watch::Receiver<bool>,
) -> Result<(usize, usize), String> {
    let (host, bearer) = (node.api, &node.bearer);
    let (fields, whole) = match nth % 5 {
        0 => (String::new(), false),
        1 => (format!("Host: {host}\r\nX-Slow: "), false),
        2 => (format!("Host: {host}\r\nAuthorization: Bearer {}\r\n", "0".repeat(64)), true),
        3 => (format!("Host: evil.example\r\nAuthorization: {bearer}\r\n"), true),
        _ => {
            let origin = "Origin: http://evil.example";
            (format!("Host: {host}\r\nAuthorization: {bearer}\r\n{origin}\r\n"), true)
        }
    };
    let (mut answers, mut visits) = (0, 0);
    loop {
        let answer = tokio::select! {
            _ = stopped.changed() => return Ok((answers, visits)),
            // Whoever is cut off is told nothing.
            answer = ask(&node, &fields, whole) => answer.unwrap_or_default(),
        };
        visits += 1;
        answers += usize::from(!answer.is_empty());
        let refusals = ["401", "403", "408"].map(|status| format!("HTTP/1.1 {status} "));
        if !answer.is_empty() && !refusals.iter().any(|refusal| answer.starts_with(refusal)) {
            return Err(answer);
        }
        tokio::select! {
            _ = stopped.changed() => return Ok((answers, visits)),
            () = sleep(COMES_AGAIN) => {}
        }
    }
}

/// What is answered before the connection ends; a request that is not `whole` never ends itself.
async fn ask(node: &NodeProcess, fields: &str, whole: bool) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(node.api).await?;
    let end = if whole { "Connection: close\r\n\r\n" } else { "" };
    let head = match fields {
        "" => String::new(),
        fields => format!("GET /v1/status HTTP/1.1\r\n{fields}{end}"),
    };
    stream.write_all(head.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
