//! The whole of what a protocol becomes.

use crate::model::{Model, Replay, documentation};
use crate::{client, server};
use proc_macro2::TokenStream;
use quote::quote;

pub fn expand(model: &Model, file: &str) -> TokenStream {
    let server_trait = server::server_trait(model);
    let module = &model.module;
    let visibility = &model.visibility;
    let schema = schema(model);
    let client = client::client(model);
    let dispatch = server::dispatch(model);
    let doc = format!(
        "What `#[protocol]` makes of [`{}`](super::{}).",
        model.trait_name, model.trait_name
    );
    let face = is_face_of(file, &model.name).then(|| {
        quote! {
            #[doc(inline)]
            #visibility use self::#module::*;
        }
    });
    quote! {
        #server_trait

        #[doc = #doc]
        #visibility mod #module {
            #[allow(unused_imports, reason = "a protocol need not use all that its file has")]
            use super::*;

            #schema
            #client
            #dispatch
        }

        #face
    }
}

/// Whether the protocol is the one that its file is named after.
fn is_face_of(file: &str, name: &str) -> bool {
    let stem = file
        .rsplit(['/', '\\'])
        .next()
        .and_then(|last| last.strip_suffix(".rs"));
    stem == Some(name)
}

fn schema(model: &Model) -> TokenStream {
    let name = &model.name;
    let version = &model.version;
    let doc = documentation(&model.attributes);
    let methods = model.methods.iter().map(|method| {
        let name = method.name.to_string();
        let number = method.number;
        let doc = documentation(&method.attributes);
        let is_deferred = method.is_deferred;
        let replay = replay(method.replay);
        let parameters = method.parameters.iter().map(|parameter| {
            let name = parameter.name.to_string();
            let ty = &parameter.ty;
            let schema = schema_of(ty);
            quote!(::libipc::schema::Parameter { name: #name, ty: #schema })
        });
        let result = schema_of(&method.result);
        let error = schema_of(&method.error);
        quote! {
            ::libipc::schema::Method {
                number: #number,
                name: #name,
                doc: #doc,
                replay: #replay,
                is_deferred: #is_deferred,
                parameters: &[#(#parameters),*],
                result: #result,
                error: #error,
            }
        }
    });
    quote! {
        /// The protocol's name.
        pub const NAME: &str = #name;
        /// The protocol's version.
        pub const VERSION: u32 = #version;
        /// Names the schema: client and server must have the same.
        pub const HASH: u64 = ::libipc::schema::protocol_hash(NAME, VERSION, METHODS);
        /// The methods, in order of their numbers.
        pub const METHODS: &[::libipc::schema::Method] = &[#(#methods),*];
        /// Everything about the protocol.
        pub static PROTOCOL: ::libipc::schema::Protocol =
            ::libipc::schema::Protocol { name: NAME, version: VERSION, doc: #doc, methods: METHODS, hash: HASH };
    }
}

/// The path of a schema. Borrowed types have that of what they borrow.
fn schema_of(ty: &syn::Type) -> TokenStream {
    match ty {
        syn::Type::Reference(reference) if crate::wire::is_named(&reference.elem, "str") => {
            quote!(<::libipc::__private::String as ::libipc::__private::postcard_schema::Schema>::SCHEMA)
        }
        ty if crate::wire::is_byte_slice(ty) => {
            quote!(<::libipc::__private::Vec<u8> as ::libipc::__private::postcard_schema::Schema>::SCHEMA)
        }
        ty => quote!(<#ty as ::libipc::__private::postcard_schema::Schema>::SCHEMA),
    }
}

/// A replay as an expression.
pub fn replay(replay: Replay) -> TokenStream {
    match replay {
        Replay::Idempotent => quote!(::libipc::schema::Replay::Idempotent),
        Replay::Journaled => quote!(::libipc::schema::Replay::Journaled),
        Replay::Never => quote!(::libipc::schema::Replay::Never),
    }
}
