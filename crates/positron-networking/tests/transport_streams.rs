//! How streams of a UDP transport end: whole, or with an error that says why. (A TCP transport has
//! none; those of nodes go over both, in `streams.rs`.)

mod transport;

use std::{future::Future as _, io::ErrorKind, task::Poll};

use positron_networking::transport::{RecvStream, SendStream, TransportSendError, Udp};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use transport::{Pair, in_time, pair};

/// A stream of which ten bytes were read, and whoever holds its ends.
async fn begun() -> (Pair<Udp>, SendStream, RecvStream) {
    let pair = pair::<Udp>().await;
    let mut writing = pair.there.open_stream(8).unwrap();
    writing.write_all(b"ten bytes.").await.unwrap();
    let mut reading = in_time(pair.here.accept_stream()).await.unwrap();
    let mut beginning = [0; 10];
    in_time(reading.read_exact(&mut beginning)).await.unwrap();
    (pair, writing, reading)
}

/// What a reader hears instead of the end, however often it asks.
async fn never_ends(mut reading: RecvStream, kind: ErrorKind) -> TransportSendError {
    let why = in_time(reading.recv(10)).await.unwrap_err();
    for _ in 0..3 {
        assert_eq!(in_time(reading.recv(10)).await, Err(why.clone()));
        assert_eq!(in_time(reading.read_u8()).await.unwrap_err().kind(), kind);
    }
    why
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_is_dropped_after_it_finished_ends_cleanly() {
    let (_pair, mut writing, mut reading) = begun().await;
    let rest = vec![7; 1_000_000];
    let sent = rest.clone();
    let sending = tokio::spawn(async move {
        writing.write_all(&sent).await.unwrap();
        writing.shutdown().await.unwrap();
        drop(writing);
    });
    let mut heard = Vec::new();
    in_time(reading.read_to_end(&mut heard)).await.unwrap();
    assert!(heard == rest, "{} bytes", heard.len());
    sending.await.unwrap();
    assert_eq!(in_time(reading.recv(10)).await, Ok(None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_is_dropped_before_it_finished_never_looks_whole() {
    let (_pair, writing, reading) = begun().await;
    drop(writing);
    let why = never_ends(reading, ErrorKind::ConnectionReset).await;
    assert_eq!(why, TransportSendError::StreamReset { code: 0 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_resets_says_why() {
    let (_pair, writing, reading) = begun().await;
    writing.reset(u32::MAX);
    let why = never_ends(reading, ErrorKind::ConnectionReset).await;
    assert_eq!(why, TransportSendError::StreamReset { code: u32::MAX });
    assert!(why.to_string().contains("code 4294967295"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_ends_before_its_stream_is_no_end_of_the_stream() {
    let (pair, writing, mut reading) = begun().await;
    pair.there.reset(7, "enough");
    in_time(pair.here.closed()).await;
    // Nothing would wake a reader that waited now.
    let mut first = Box::pin(reading.recv(10));
    let poll = std::future::poll_fn(|cx| Poll::Ready(first.as_mut().poll(cx).is_ready()));
    assert!(poll.await, "it is over");
    drop(first);
    let why = never_ends(reading, ErrorKind::NotConnected).await;
    assert!(matches!(why, TransportSendError::Closed(Some(_))), "{why}");
    drop(writing);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stops_says_why_and_one_that_is_dropped_says_nothing() {
    for (stops, code) in [(true, 9), (false, 0)] {
        let (_pair, mut writing, reading) = begun().await;
        let writer = tokio::spawn(async move {
            loop {
                if let Err(error) = writing.write_all(&[7; 10_000]).await {
                    return (error, writing.finish());
                }
            }
        });
        if stops {
            reading.stop(code);
        } else {
            drop(reading);
        }
        let (error, after) = in_time(writer).await.unwrap();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        let why = error.into_inner().unwrap().downcast::<TransportSendError>().unwrap();
        assert_eq!(*why, TransportSendError::StreamStopped { code });
        assert_eq!(after, Err(*why));
    }
}
