//! What is said to a process, and what it answers, in lines of JSON.

use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout},
    time::timeout,
};

/// With a worker, from its first line on.
pub(crate) struct Conversation {
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Conversation {
    /// With a process whose standard input and output are piped.
    pub(crate) fn new(child: &mut Child) -> Self {
        let orders = child.stdin.take().expect("it is piped");
        let answers = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        Self { orders, answers }
    }

    /// Says one thing, and waits for its answer, at most so long.
    ///
    /// # Errors
    /// There is none, or it is no answer.
    pub(crate) async fn ask<A: DeserializeOwned>(
        &mut self,
        order: &impl Serialize,
        longest: Duration,
    ) -> Result<A, String> {
        let mut line = serde_json::to_vec(order).map_err(|error| error.to_string())?;
        line.push(b'\n');
        self.orders.write_all(&line).await.map_err(|error| format!("a worker: {error}"))?;
        let answer = timeout(longest, self.answers.next_line()).await;
        let answer = answer.map_err(|_| "a worker does not come to an end")?;
        let answer = answer.map_err(|error| format!("a worker: {error}"))?;
        let answer = answer.ok_or("a worker ended")?;
        serde_json::from_str(&answer).map_err(|error| error.to_string())
    }
}
