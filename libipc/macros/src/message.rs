//! `#[message]`.

use crate::wire::is_byte_vector;
use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{Data, DeriveInput, Fields, Type, parse_quote};

pub fn expand(mut item: DeriveInput) -> TokenStream {
    let mut has_handles = false;
    for_each_fields(&mut item.data, |fields| {
        for field in fields.iter_mut() {
            has_handles |= mentions_handle(&field.ty);
            if is_byte_vector(&field.ty) {
                field
                    .attrs
                    .push(parse_quote!(#[serde(with = "::libipc::bytes::as_bytes")]));
            }
        }
    });
    let clone = (!has_handles).then(|| quote!(::core::clone::Clone,));
    quote! {
        #[derive(
            #clone
            ::core::fmt::Debug,
            ::core::cmp::PartialEq,
            ::libipc::__private::serde::Serialize,
            ::libipc::__private::serde::Deserialize,
            ::libipc::__private::postcard_schema::Schema,
        )]
        #[serde(crate = "::libipc::__private::serde")]
        #[postcard(crate = ::libipc::__private::postcard_schema)]
        #item
    }
}

fn for_each_fields(data: &mut Data, mut job: impl FnMut(&mut Fields)) {
    match data {
        Data::Struct(data) => job(&mut data.fields),
        Data::Enum(data) => data
            .variants
            .iter_mut()
            .for_each(|variant| job(&mut variant.fields)),
        Data::Union(_) => {}
    }
}

/// Whether a type has a handle in it, as far as its text tells.
fn mentions_handle(ty: &Type) -> bool {
    fn search(tokens: TokenStream) -> bool {
        tokens.into_iter().any(|token| match token {
            TokenTree::Ident(ident) => ident == "Handle",
            TokenTree::Group(group) => search(group.stream()),
            _ => false,
        })
    }
    search(ty.to_token_stream())
}
