//! The server's side: the trait it implements, and the dispatcher that calls it.

use crate::model::{Method, Model, Parameter, Replay};
use crate::wire::{is_byte_vector, wire};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Lifetime, Type, parse_quote};

pub fn server_trait(model: &Model) -> TokenStream {
    let Model {
        visibility,
        trait_name,
        attributes,
        ..
    } = model;
    let supertraits = model.is_journaled().then(|| quote!(: ::libipc::Journal));
    let methods = model.methods.iter().map(|method| {
        let Method { name, attributes, result, error, .. } = method;
        let parameters = method.parameters.iter().map(|Parameter { name, ty }| quote!(#name: #ty));
        if method.is_deferred {
            quote! {
                #(#attributes)*
                fn #name(&mut self, caller: ::libipc::Caller, #(#parameters,)* reply: ::libipc::Reply<#result, #error>);
            }
        } else {
            quote! {
                #(#attributes)*
                fn #name(&mut self, caller: ::libipc::Caller, #(#parameters),*) -> ::core::result::Result<#result, #error>;
            }
        }
    });
    quote! {
        #(#attributes)*
        #visibility trait #trait_name #supertraits {
            #(#methods)*
        }
    }
}

pub fn dispatch(model: &Model) -> TokenStream {
    let trait_name = &model.trait_name;
    let families = model
        .methods
        .iter()
        .filter(|method| method.borrows())
        .map(family);
    let arms = model.methods.iter().map(arm);
    quote! {
        #(#families)*

        /// Decodes a call and hands it to the server. What is malformed or unknown is refused and counted; the server does not see it.
        #[inline]
        pub fn dispatch<S: super::#trait_name + ?Sized>(server: &mut S, call: ::libipc::IncomingCall<'_>) {
            call.fault_before(&PROTOCOL);
            match call.method() {
                #(#arms)*
                _ => call.answer_common(&PROTOCOL),
            }
        }
    }
}

fn arm(method: &Method) -> TokenStream {
    let Method {
        name,
        number,
        result,
        error,
        ..
    } = method;
    let names: Vec<_> = method
        .parameters
        .iter()
        .map(|parameter| &parameter.name)
        .collect();
    let types = method
        .parameters
        .iter()
        .map(|parameter| wire(&parameter.ty).ty);
    let values = method.parameters.iter().map(|Parameter { name, ty }| {
        if is_byte_vector(ty) {
            quote!(#name.0)
        } else {
            quote!(#name)
        }
    });
    let wire = wire(result);
    let to = &wire.to;
    let encode = quote!(|raw, result: ::core::result::Result<#result, #error>| raw.send(result.map(|value| #to)));
    let body = match (method.replay, method.is_deferred, method.borrows()) {
        (Replay::Journaled, true, _) => quote! {
            call.defer_journaled(server, #encode, |server, caller, (#(#names,)*): (#(#types,)*), reply| {
                server.#name(caller, #(#values,)* reply)
            })
        },
        (Replay::Journaled, false, _) => quote! {
            call.answer_journaled(server, |server, caller, (#(#names,)*): (#(#types,)*)| {
                server.#name(caller, #(#values),*).map(|value| #to)
            })
        },
        (_, true, _) => quote! {
            call.defer(#encode, |caller, (#(#names,)*): (#(#types,)*), reply| server.#name(caller, #(#values,)* reply))
        },
        (_, false, true) => {
            let family = family_name(method);
            quote! {
                call.answer_borrowed::<#family, _, _, _>(|caller, (#(#names,)*)| server.#name(caller, #(#values),*).map(|value| #to))
            }
        }
        (_, false, false) => quote! {
            call.answer(|caller, (#(#names,)*): (#(#types,)*)| server.#name(caller, #(#values),*).map(|value| #to))
        },
    };
    quote!(::core::option::Option::Some(#number) => #body,)
}

fn family_name(method: &Method) -> proc_macro2::Ident {
    format_ident!("ArgumentsOf{}", method.number)
}

/// The arguments of a method that borrows, as a family of types.
fn family(method: &Method) -> TokenStream {
    let name = family_name(method);
    let lifetime: Lifetime = parse_quote!('a);
    let types = method
        .parameters
        .iter()
        .map(|parameter| match &parameter.ty {
            Type::Reference(reference) => {
                let inner = &reference.elem;
                quote!(&#lifetime #inner)
            }
            ty => wire(ty).ty,
        });
    quote! {
        enum #name {}

        impl<'a> ::libipc::__private::Borrowed<'a> for #name {
            type Value = (#(#types,)*);
        }
    }
}
