//! TLS 1.3 over TCP, and its settings: both ends have a key that the other one knows.

use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair, PKCS_ED25519};
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime},
    server::{
        NoServerSessionStorage,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    version::TLS13,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use super::{
    ends::{End, Sender, text},
    measurement::Measurement,
    pair::Pair,
    plain::Plain,
};

/// TLS over TCP.
pub(crate) struct Tls {
    below: Plain,
    connector: TlsConnector,
    acceptor: TlsAcceptor,
}

type Stream = TlsStream<tokio::net::TcpStream>;

impl Pair for Tls {
    /// Until it is opened.
    type Connection = Option<Stream>;

    async fn start(_: &Measurement) -> Result<Self, String> {
        let (client, server) = configs(b"bench")?;
        let below = Plain::listen().await?;
        Ok(Self { below, connector: Arc::new(client).into(), acceptor: Arc::new(server).into() })
    }

    async fn connect(&self) -> Result<Option<Stream>, String> {
        let stream = self.below.dial().await?;
        let name = ServerName::try_from(NAME).map_err(text)?;
        let stream = self.connector.connect(name, stream).await.map_err(text)?;
        Ok(Some(stream.into()))
    }

    async fn accept(&self) -> Result<Option<Stream>, String> {
        let stream = self.below.next().await?;
        Ok(Some(self.acceptor.accept(stream).await.map_err(text)?.into()))
    }

    async fn open(connection: &mut Option<Stream>, _: bool) -> Result<End, String> {
        let (reader, writer) = tokio::io::split(connection.take().ok_or("it is open")?);
        Ok(End::of_streams(Sender::Stream(Box::new(writer)), reader))
    }

    async fn one_byte(connection: &mut Option<Stream>, dialled: bool) -> Result<(), String> {
        let stream = connection.as_mut().ok_or("it is open")?;
        if dialled {
            stream.read_u8().await.map(drop).map_err(text)
        } else {
            stream.write_all(&[7]).await.map_err(text)?;
            stream.flush().await.map_err(text)
        }
    }
}

/// For the end that dials and the one that listens: X25519, AES-256-GCM, a signature of each end
/// by Ed25519 that the other one verifies each time, and nothing resumed.
///
/// # Errors
/// A key or certificate cannot be made.
pub(super) fn configs(protocol: &[u8]) -> Result<(ClientConfig, ServerConfig), String> {
    let provider = Arc::new(CryptoProvider {
        cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_256_GCM_SHA384],
        kx_groups: vec![aws_lc_rs::kx_group::X25519],
        ..aws_lc_rs::default_provider()
    });
    let (here, there) = (Proof::new()?, Proof::new()?);
    let knows = |proof: &Proof| {
        let algorithms = provider.signature_verification_algorithms;
        Arc::new(Acquainted { with: proof.certificate.clone(), algorithms })
    };
    let (knows_here, knows_there) = (knows(&here), knows(&there));
    let mut client = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13])
        .map_err(text)?
        .dangerous()
        .with_custom_certificate_verifier(knows_there)
        .with_client_auth_cert(vec![here.certificate], here.key)
        .map_err(text)?;
    client.resumption = Resumption::disabled();
    client.alpn_protocols = vec![protocol.to_vec()];
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(text)?
        .with_client_cert_verifier(knows_here)
        .with_single_cert(vec![there.certificate], there.key)
        .map_err(text)?;
    server.send_tls13_tickets = 0;
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.alpn_protocols = vec![protocol.to_vec()];
    Ok((client, server))
}

/// A key, and the certificate that says whose it is.
struct Proof {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Proof {
    fn new() -> Result<Self, String> {
        let key = KeyPair::generate_for(&PKCS_ED25519).map_err(text)?;
        let params = CertificateParams::new(vec![NAME.to_owned()]).map_err(text)?;
        let certificate = params.self_signed(&key).map_err(text)?.der().clone();
        Ok(Self { certificate, key: PrivatePkcs8KeyDer::from(key.serialize_der()).into() })
    }
}

/// Takes one certificate and no other, and verifies the signature that is made with its key.
#[derive(Debug)]
struct Acquainted {
    with: CertificateDer<'static>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Acquainted {
    fn knows(&self, shown: &CertificateDer<'_>) -> Result<(), Error> {
        if *shown == self.with { Ok(()) } else { Err(Error::General("somebody else".into())) }
    }

    fn verify(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }
}

impl ServerCertVerifier for Acquainted {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.knows(shown).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("too old".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

impl ClientCertVerifier for Acquainted {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.knows(shown).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("too old".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

/// What the end that listens is called.
pub(super) const NAME: &str = "localhost";
