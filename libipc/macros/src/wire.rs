//! How Rust types stand in a message. Byte vectors are encoded in one piece, which their own serde implementation does not do.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{GenericArgument, PathArguments, Type, TypePath};

/// The last part of a path with its single type argument: `Vec` and `u8` of `Vec<u8>`.
pub fn generic_of<'a>(ty: &'a Type, name: &str) -> Option<Vec<&'a Type>> {
    let Type::Path(TypePath {
        qself: None, path, ..
    }) = ty
    else {
        return None;
    };
    let last = path.segments.last()?;
    if last.ident != name {
        return None;
    }
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    let types = arguments.args.iter().map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    types.collect()
}

/// Whether a type is this plain name.
pub fn is_named(ty: &Type, name: &str) -> bool {
    matches!(ty, Type::Path(TypePath { qself: None, path, .. }) if path.segments.last().is_some_and(|last| last.ident == name && last.arguments.is_empty()))
}

/// Whether a type is `Vec<u8>`.
pub fn is_byte_vector(ty: &Type) -> bool {
    matches!(generic_of(ty, "Vec").as_deref(), Some([element]) if is_named(element, "u8"))
}

/// Whether a type is `&[u8]`.
pub fn is_byte_slice(ty: &Type) -> bool {
    match ty {
        Type::Reference(reference) => {
            matches!(&*reference.elem, Type::Slice(slice) if is_named(&slice.elem, "u8"))
        }
        _ => false,
    }
}

/// A type as it stands in the message, with the ways there and back.
pub struct Wire {
    /// The type in the message.
    pub ty: TokenStream,
    /// From a value named `value`.
    pub to: TokenStream,
    /// From a value in the message named `value`.
    pub from: TokenStream,
}

/// How a type stands in the message: a byte vector, also as a member of a tuple, has a form of its own; all else is itself.
pub fn wire(ty: &Type) -> Wire {
    if is_byte_vector(ty) {
        return Wire {
            ty: quote!(::libipc::bytes::ByteVec),
            to: quote!(::libipc::bytes::ByteVec(value)),
            from: quote!(value.0),
        };
    }
    if let Type::Tuple(tuple) = ty
        && tuple.elems.iter().any(is_byte_vector)
    {
        let names: Vec<_> = (0..tuple.elems.len())
            .map(|index| format_ident!("member_{index}"))
            .collect();
        let members: Vec<Wire> = tuple.elems.iter().map(wire).collect();
        let types = members.iter().map(|member| &member.ty);
        let to = members
            .iter()
            .zip(&names)
            .map(|(member, name)| rename(&member.to, name));
        let from = members
            .iter()
            .zip(&names)
            .map(|(member, name)| rename(&member.from, name));
        return Wire {
            ty: quote!((#(#types,)*)),
            to: quote!({ let (#(#names,)*) = value; (#(#to,)*) }),
            from: quote!({ let (#(#names,)*) = value; (#(#from,)*) }),
        };
    }
    Wire {
        ty: quote!(#ty),
        to: quote!(value),
        from: quote!(value),
    }
}

fn rename(expression: &TokenStream, name: &syn::Ident) -> TokenStream {
    quote!({ let value = #name; #expression })
}
