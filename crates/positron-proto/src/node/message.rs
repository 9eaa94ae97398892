//! A message of any room, made from the one list of them: who reads which type, and who writes it.

/// Declares the enum of all messages: a line says which room reads a type, and what it is called.
macro_rules! messages {
    (
        $(#[$meta:meta])*
        pub enum $name:ident;
        $($room:ident($message:ty) $word:literal $help:literal;)+
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum $name {
            $(#[doc = $help] $room($message),)+
        }

        /// Who reads a message, as a label.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum RoomName {
            $(#[doc = $help] $room,)+
        }

        $crate::metric::label! { RoomName as "room" { $($room => $word,)+ } }

        impl $name {
            /// Who reads it.
            pub const fn room(&self) -> RoomName {
                match self {
                    $(Self::$room(_) => RoomName::$room,)+
                }
            }

            /// Reads what a peer said to `receiver`. `None`: a type that no room here reads, to be
            /// skipped.
            pub fn decode(
                message: ::bytes::Bytes,
                receiver: $crate::id::NodeId,
            ) -> Result<Option<Self>, $crate::wire::Malformed> {
                use $crate::wire::message::RoomMessage;
                let envelope = $crate::wire::message::Envelope::open(message)?;
                let message_type = envelope.message_type();
                $(
                    if <$message as RoomMessage>::TYPES.contains(&message_type) {
                        return envelope.read(receiver).map(Self::$room).map(Some);
                    }
                )+
                Ok(None)
            }

            /// The message as bytes.
            pub fn encode(&self) -> ::bytes::Bytes {
                use $crate::wire::message::RoomMessage as _;
                match self {
                    $(Self::$room(message) => message.encode(),)+
                }
            }

            /// Its type.
            pub fn message_type(&self) -> u8 {
                use $crate::wire::message::RoomMessage as _;
                match self {
                    $(Self::$room(message) => message.message_type(),)+
                }
            }

            /// The queue it travels in.
            pub fn lane(&self) -> $crate::wire::frame::Lane {
                use $crate::wire::message::RoomMessage as _;
                match self {
                    $(Self::$room(message) => message.lane(),)+
                }
            }

            /// Every type that some room reads.
            pub fn types() -> impl Iterator<Item = u8> {
                use $crate::wire::message::RoomMessage;
                [$(<$message as RoomMessage>::TYPES),+].concat().into_iter()
            }
        }

        $(
            impl From<$message> for $name {
                fn from(message: $message) -> Self {
                    Self::$room(message)
                }
            }
        )+
    };
}
pub(super) use messages;
