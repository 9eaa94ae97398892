//! What the command line says of connections.

use clap::{Args, value_parser};
use positron_networking::CongestionAlgorithm;

use super::{
    connection_kind::{ConnectionKind, Named},
    measurement::Work,
};

/// How connections are measured.
#[derive(Debug, Args)]
pub(crate) struct TransportOptions {
    /// What is measured: a (a stream and messages, datagrams of 1,400 bytes), probed (the same,
    /// datagrams as large as is found), b (there and back), c (small messages), d (handshakes),
    /// e (idle connections)
    #[arg(long, value_delimiter = ',', default_value = "a,probed,b,c,d,e",
          value_parser = ["a", "probed", "b", "c", "d", "e"])]
    pub(crate) rows: Vec<String>,
    /// Congestion controls of ours over UDP: newreno, cubic, bbr
    #[arg(long, value_delimiter = ',', default_value = "newreno,bbr")]
    pub(crate) congestion: Vec<CongestionAlgorithm>,
    /// Rounds: in each, every contender has its turn; medians of them are told
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u32).range(1..=100))]
    pub(crate) rounds: u32,
    /// Milliseconds for which each is measured, after half a second that is not
    #[arg(long, default_value_t = 1_500, value_parser = value_parser!(u32).range(100..=60_000))]
    pub(crate) milliseconds: u32,
    /// Idle connections at once
    #[arg(long, default_value_t = 1_000, value_parser = value_parser!(u32).range(8..=8_000))]
    pub(crate) connections: u32,
    /// Only these contenders: stream, messages, positron-tcp, quinn, iroh, tls, tcp
    #[arg(long, value_name = "STACKS", value_delimiter = ',')]
    pub(crate) only: Vec<Named>,
    /// Tell the result, and each round, as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl TransportOptions {
    /// Those that are measured.
    pub(crate) fn contenders(&self) -> Vec<ConnectionKind> {
        let wanted = |one: &ConnectionKind| {
            self.only.is_empty() || self.only.iter().any(|named| named.is(*one))
        };
        ConnectionKind::all(&self.congestion).into_iter().filter(wanted).collect()
    }

    /// Whether it is measured.
    pub(crate) fn wants(&self, work: Work) -> bool {
        self.rows.iter().any(|row| row == work.letter())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct CommandLine {
        #[command(flatten)]
        options: TransportOptions,
    }

    fn read(line: &str) -> Result<TransportOptions, clap::Error> {
        let words = ["transport"].into_iter().chain(line.split_ascii_whitespace());
        CommandLine::try_parse_from(words).map(|line| line.options)
    }

    #[test]
    fn everything_is_measured_unless_something_is_named() {
        let all = read("").unwrap();
        assert!(Work::ALL.into_iter().all(|work| all.wants(work)));
        assert_eq!(all.contenders().len(), 9);
        let some = read("--rows b,c --only stream,quinn --congestion bbr").unwrap();
        assert!(some.wants(Work::PingPong) && !some.wants(Work::Idle));
        assert_eq!(
            some.contenders(),
            [ConnectionKind::Stream(CongestionAlgorithm::Bbr), ConnectionKind::Quinn]
        );
    }

    #[test]
    fn what_is_out_of_bounds_is_refused() {
        for wrong in
            ["--rows f", "--congestion reno", "--rounds 0", "--only kcp", "--connections 7"]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
