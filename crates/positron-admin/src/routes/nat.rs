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
    /// The port that the router was asked to map; null without `map_port`.
    port_mapping: Option<MappedShape>,
}

/// How it goes with the port that the router was asked to map.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what `MappedPort` writes")]
struct MappedShape {
    /// The router: where the default route leads; null where there is none.
    gateway: Option<String>,
    /// How it is spoken to, if it answered.
    protocol: Option<RouterProtocolShape>,
    /// Where strangers come in, as the router says.
    external: Option<String>,
    /// Whether the port is mapped for TCP too.
    is_for_tcp: bool,
    /// How far it is.
    state: MappedStateShape,
    /// Why there is none, or why it may be over soon.
    failure: Option<RouterFailureShape>,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "it describes what `RouterFailure` writes")]
enum RouterFailureShape {
    NoGateway,
    Untranslated,
    Silent,
    NoAddress,
    Refused,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "it describes what `RouterProtocol` writes")]
enum RouterProtocolShape {
    Pcp,
    NatPmp,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "it describes what `MappedState` writes")]
enum MappedStateShape {
    None,
    Unverified,
    Verified,
    Shut,
    Elsewhere,
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
    /// From whom packets are let in (RFC 4787, 5): from everybody (`endpoint_independent`), from
    /// every port of an address that it sent to (`address_dependent`), from that port only
    /// (`address_and_port_dependent`); from every port of such an address and perhaps from
    /// everybody (`at_most_address_dependent`); from those only that it sent to, by address or by
    /// port (`dependent`).
    filtering: FilteringShape,
    /// Whether another machine has that address; null if nobody knows.
    behind_nat: Option<bool>,
    /// Whether `external_addresses` says so.
    is_forced: bool,
    /// Who saw it where.
    evidence: Vec<SeenShape>,
    /// Which packets were sent to it to find that out, the last as the last.
    filtering_evidence: Vec<TrialShape>,
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
    AddressDependent,
    AddressAndPortDependent,
    AtMostAddressDependent,
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

/// One packet that was sent to see whether it gets in.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what `FilteringTrial` writes")]
struct TrialShape {
    /// The peer that was asked for it.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    asked: String,
    /// Who sent it: that peer, from a port that was never sent to, or somebody at an address to
    /// which the socket never sent.
    sender: TrialSenderShape,
    /// From where it came, or would have come; of another port that was silent only the address is
    /// known.
    from: String,
    /// Whether it came.
    arrived: bool,
    /// Whether it went to the UDP port on which the node listens; else to a socket that had sent to
    /// that peer alone.
    is_listening_socket: bool,
    /// Seconds since then.
    age: u64,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "it describes what `TrialSender` writes")]
enum TrialSenderShape {
    AnotherPort,
    Stranger,
}
