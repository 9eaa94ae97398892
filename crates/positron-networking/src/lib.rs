//! Encrypted peer-to-peer networking for blockchains: nodes, gossip, peers, trust.
