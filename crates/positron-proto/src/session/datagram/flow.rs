//! Congestion and flow control by itself, for callers that bring their own transport.
