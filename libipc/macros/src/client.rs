//! The client: a method for each method, blocking and started.

use crate::model::{Method, Model, Parameter};
use crate::protocol::replay;
use crate::wire::{generic_of, is_byte_slice, is_byte_vector, is_named, wire};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};

pub fn client(model: &Model) -> TokenStream {
    let methods = model.methods.iter().map(|method| {
        let blocking = blocking(method);
        let started = started(method);
        quote!(#blocking #started)
    });
    // A protocol's own `connect` goes before; the function of that name in the module is always there.
    let has_own_connect = model.methods.iter().any(|method| method.name == "connect");
    let connect = (!has_own_connect).then(|| {
        quote! {
            /// As the module's [`connect`].
            ///
            /// # Errors
            /// `Refused(WrongSchema)`, or what became of the greeting.
            pub fn connect(connection: ::libipc::Handle<::libipc::Connection>) -> ::core::result::Result<Self, ::libipc::Failure> {
                connect(connection)
            }
        }
    });
    let doc = format!(
        "A client of `{}`. Each call says until when its answer is wanted.",
        model.name
    );
    quote! {
        #[doc = #doc]
        #[derive(Debug, PartialEq, Eq)]
        pub struct Client {
            connection: ::libipc::Handle<::libipc::Connection>,
        }

        impl Client {
            #connect

            /// As [`connect`], with a deadline of the caller's.
            ///
            /// # Errors
            /// `Refused(WrongSchema)`, or what became of the greeting.
            pub fn connect_by(
                connection: ::libipc::Handle<::libipc::Connection>,
                deadline: ::libipc::Deadline,
            ) -> ::core::result::Result<Self, ::libipc::Failure> {
                ::libipc::client::hello(&connection, HASH, deadline)?;
                ::core::result::Result::Ok(Self { connection })
            }

            /// Uses a Connection without greeting: one that came in a typed answer, from a server whose schema was checked.
            pub const fn adopt(connection: ::libipc::Handle<::libipc::Connection>) -> Self {
                Self { connection }
            }

            /// The Connection.
            pub const fn connection(&self) -> &::libipc::Handle<::libipc::Connection> {
                &self.connection
            }

            /// Gives the Connection up.
            pub fn into_connection(self) -> ::libipc::Handle<::libipc::Connection> {
                self.connection
            }

            /// Wakes the server without a message.
            ///
            /// # Errors
            /// The kernel's.
            pub fn ring(&self) -> ::core::result::Result<(), ::libipc::SysError> {
                self.connection.ring()
            }

            #(#methods)*
        }

        /// Greets the server and checks that both sides have the same schema. A service that is not running yet is waited for, up to
        /// [`CONNECT_PATIENCE`](::libipc::client::CONNECT_PATIENCE).
        ///
        /// # Errors
        /// `Refused(WrongSchema)`, or what became of the greeting.
        pub fn connect(connection: ::libipc::Handle<::libipc::Connection>) -> ::core::result::Result<Client, ::libipc::Failure> {
            Client::connect_by(connection, ::libipc::Deadline::after(::libipc::client::CONNECT_PATIENCE))
        }
    }
}

fn blocking(method: &Method) -> TokenStream {
    let Method {
        name,
        number,
        attributes,
        result,
        error,
        ..
    } = method;
    let parameters = method.parameters.iter().map(parameter);
    let bindings = method.parameters.iter().map(binding);
    let arguments = method.parameters.iter().map(argument);
    let replay = replay(method.replay);
    let wire = wire(result);
    let (wire_type, from) = (&wire.ty, &wire.from);
    quote! {
        #(#attributes)*
        ///
        /// # Errors
        /// The method's own, or what became of the call.
        #[inline]
        pub fn #name(
            &self,
            terms: impl ::core::convert::Into<::libipc::Terms>,
            #(#parameters,)*
        ) -> ::core::result::Result<#result, ::libipc::CallError<#error>> {
            #(#bindings)*
            ::libipc::client::call::<_, #wire_type, #error>(
                &self.connection,
                #number,
                #replay,
                terms.into(),
                &(#(#arguments,)*),
            )
            .map(|value| #from)
        }
    }
}

fn started(method: &Method) -> TokenStream {
    let Method {
        number,
        result,
        error,
        ..
    } = method;
    let name = format_ident!("start_{}", method.name);
    let parameters = method.parameters.iter().map(parameter);
    let bindings = method.parameters.iter().map(binding);
    let arguments = method.parameters.iter().map(argument);
    let replay = replay(method.replay);
    let wire = wire(result);
    let (wire_type, from) = (&wire.ty, &wire.from);
    let doc = format!(
        "Starts [`{0}`](Self::{0}) without waiting: its end wakes the endpoint of `calls`.",
        method.name
    );
    quote! {
        #[doc = #doc]
        ///
        /// # Errors
        /// Why it could not be started. Nothing was sent.
        pub fn #name(
            &self,
            calls: &::libipc::Calls,
            terms: impl ::core::convert::Into<::libipc::Terms>,
            #(#parameters,)*
        ) -> ::core::result::Result<::libipc::Pending<#result, #error>, ::libipc::Failure> {
            #(#bindings)*
            calls.start(
                &self.connection,
                #number,
                #replay,
                terms.into(),
                &(#(#arguments,)*),
                |bytes| ::libipc::__private::decode_answer::<#wire_type, #error>(bytes).map(|value| #from),
            )
        }
    }
}

/// What the caller may give: strings and vectors also as slices, values also by reference.
fn parameter(parameter: &Parameter) -> TokenStream {
    let Parameter { name, ty } = parameter;
    if parameter.is_borrowed() {
        quote!(#name: #ty)
    } else if is_named(ty, "String") {
        quote!(#name: impl ::core::convert::AsRef<str>)
    } else if let Some([element]) = generic_of(ty, "Vec").as_deref() {
        quote!(#name: impl ::core::convert::AsRef<[#element]>)
    } else {
        quote!(#name: impl ::core::borrow::Borrow<#ty>)
    }
}

/// A reference to what was given, of a known type.
fn binding(parameter: &Parameter) -> TokenStream {
    let Parameter { name, ty } = parameter;
    if parameter.is_borrowed() {
        quote!()
    } else if is_named(ty, "String") {
        quote!(let #name: &str = #name.as_ref();)
    } else if let Some([element]) = generic_of(ty, "Vec").as_deref() {
        quote!(let #name: &[#element] = #name.as_ref();)
    } else {
        quote!(let #name: &#ty = #name.borrow();)
    }
}

/// What is encoded.
fn argument(parameter: &Parameter) -> TokenStream {
    let Parameter { name, ty } = parameter;
    if is_byte_vector(ty) || is_byte_slice(ty) {
        quote!(::libipc::bytes::ByteSlice(#name))
    } else {
        quote!(#name)
    }
}
