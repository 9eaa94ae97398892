//! What stands between the node and the internet.

use utoipa::ToSchema;

/// By what its peers see of it, in each family.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what `NatInfo` writes")]
pub(super) struct NatShape {
    /// Over IPv4.
    ipv4: FamilyShape,
    /// Over IPv6.
    ipv6: FamilyShape,
}

/// What is known of one family.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what `FamilyNat` writes")]
struct FamilyShape {
    /// Where the internet sees its UDP port, if it is the same towards everybody.
    public_addresses: Vec<String>,
    /// The IP address of them, which is known before the port is.
    public_ip: Option<String>,
    /// How its port is mapped: to the `same` towards everybody, or to one that `varies`.
    mapping: MappingShape,
    /// From whom packets are let in: from everybody, endpoint-independent (RFC 4787, 5), or from
    /// those only that it sent to.
    filtering: FilteringShape,
    /// Whether another machine has that address; null if nobody knows.
    behind_nat: Option<bool>,
    /// Whether `external_addresses` says so.
    is_forced: bool,
    /// Who saw it where.
    evidence: Vec<SeenShape>,
    /// Which strangers sent to it, the last as the last.
    filtering_evidence: Vec<StrangerShape>,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "it describes what `PortMapping` writes")]
enum MappingShape {
    Same,
    Varies,
    Unknown,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "it describes what `Filtering` writes")]
enum FilteringShape {
    EndpointIndependent,
    Dependent,
    Unknown,
}

/// One peer's word.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what `SeenAt` writes")]
struct SeenShape {
    /// Who.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    peer: String,
    /// Where it saw the node.
    addr: String,
    /// Whether it saw its UDP port; else it tells the IP address only.
    is_listening_socket: bool,
    /// Seconds since it said so.
    age: u64,
}

/// How one stranger fared.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what `StrangerSent` writes")]
struct StrangerShape {
    /// Who asked it to send.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    asked: String,
    /// From where it came, or would have come.
    from: String,
    /// Whether it came.
    arrived: bool,
    /// Seconds since then.
    age: u64,
}
