/// Implements `ALL` and `as_str` for enums without fields, from a list with one text for each
/// variant. With an error text it also implements `FromStr`, which returns
/// [`Invalid`](crate::domain::Invalid) with that text for any other input. The list must
/// name every variant: `as_str` does not compile otherwise.
macro_rules! text_enum {
    ($($type:ident $(, $error:literal)?: $($variant:ident = $text:literal),+;)+) => {$(
        impl $type {
            pub const ALL: [$type; [$($text),+].len()] = [$($type::$variant),+];

            /// The text of the variant, the same in the store, in settings and in APIs.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $($type::$variant => $text,)+
                }
            }
        }

        $(impl ::std::str::FromStr for $type {
            type Err = $crate::domain::Invalid;

            fn from_str(text: &str) -> ::std::result::Result<Self, Self::Err> {
                let found = Self::ALL.into_iter().find(|value| value.as_str() == text);
                found.ok_or($crate::domain::Invalid($error))
            }
        })?
    )+};
}

pub(crate) use text_enum;
