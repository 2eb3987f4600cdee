//! The protocol as the macro understands it, checked.

use crate::wire::generic_of;
use proc_macro2::{Ident, Span};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{
    Attribute, Error, Expr, ExprLit, FnArg, ItemTrait, Lit, LitInt, LitStr, Meta, Pat, Receiver,
    ReceiverKind, Result, ReturnType, Token, TraitItem, TraitItemFn, Type, Visibility,
};

/// Methods of a protocol, at most: their numbers are bytes, and some are taken.
const MAX_METHODS: usize = 200;
/// Parameters of a method, at most: serde has tuples of no more.
const MAX_PARAMETERS: usize = 12;

/// Names that every client uses for itself.
const RESERVED: [&str; 5] = [
    "connect_by",
    "adopt",
    "connection",
    "into_connection",
    "ring",
];

/// `name = "…", version = …`.
pub struct Arguments {
    name: LitStr,
    version: LitInt,
}

impl Parse for Arguments {
    fn parse(input: ParseStream) -> Result<Self> {
        let mut name = None;
        let mut version = None;
        while !input.is_empty() {
            let key = input.call(Ident::parse_any)?;
            input.parse::<Token![=]>()?;
            match key.to_string().as_str() {
                "name" => name = Some(input.parse()?),
                "version" => version = Some(input.parse()?),
                _ => return Err(Error::new(key.span(), "expected `name` or `version`")),
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        let missing = |what| Error::new(Span::call_site(), format!("a protocol has a {what}"));
        Ok(Self {
            name: name.ok_or_else(|| missing("name"))?,
            version: version.ok_or_else(|| missing("version"))?,
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Replay {
    Idempotent,
    Journaled,
    Never,
}

pub struct Model {
    pub name: String,
    /// The name as a module.
    pub module: Ident,
    pub version: LitInt,
    pub visibility: Visibility,
    pub trait_name: Ident,
    pub attributes: Vec<Attribute>,
    pub methods: Vec<Method>,
}

pub struct Method {
    pub name: Ident,
    pub number: u8,
    pub attributes: Vec<Attribute>,
    pub replay: Replay,
    pub is_deferred: bool,
    pub parameters: Vec<Parameter>,
    pub result: Type,
    pub error: Type,
}

pub struct Parameter {
    pub name: Ident,
    pub ty: Type,
}

impl Model {
    pub fn new(arguments: Arguments, item: ItemTrait) -> Result<Self> {
        let name = arguments.name.value();
        let is_plain = !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if !is_plain || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(Error::new(
                arguments.name.span(),
                "a protocol's name has small letters, digits and underscores",
            ));
        }
        if !item.generics.params.is_empty() || !item.supertraits.is_empty() {
            return Err(Error::new(
                item.ident.span(),
                "a protocol is a plain trait: no parameters, no supertraits",
            ));
        }
        let mut methods = Vec::new();
        for member in item.items {
            let TraitItem::Fn(method) = member else {
                return Err(Error::new(
                    member.span(),
                    "a protocol has methods and nothing else",
                ));
            };
            if methods.len() == MAX_METHODS {
                return Err(Error::new(method.span(), "too many methods"));
            }
            methods.push(Method::new(method, methods.len() as u8 + 1)?);
        }
        Ok(Self {
            module: Ident::new(&name, arguments.name.span()),
            name,
            version: arguments.version,
            visibility: item.vis,
            trait_name: item.ident,
            attributes: item.attrs,
            methods,
        })
    }

    pub fn is_journaled(&self) -> bool {
        self.methods
            .iter()
            .any(|method| method.replay == Replay::Journaled)
    }
}

impl Method {
    fn new(item: TraitItemFn, number: u8) -> Result<Self> {
        if let Some(body) = &item.default {
            return Err(Error::new(body.span(), "a protocol's method has no body"));
        }
        let mut replay = Replay::Never;
        let mut is_deferred = false;
        let mut attributes = Vec::new();
        for attribute in item.attrs {
            if attribute.path().is_ident("deferred") {
                is_deferred = true;
                continue;
            }
            let given = match attribute.path() {
                path if path.is_ident("idempotent") => Replay::Idempotent,
                path if path.is_ident("journaled") => Replay::Journaled,
                _ => {
                    attributes.push(attribute);
                    continue;
                }
            };
            if replay != Replay::Never {
                return Err(Error::new(
                    attribute.span(),
                    "a method is idempotent, journaled, or neither",
                ));
            }
            replay = given;
        }
        if !attributes
            .iter()
            .any(|attribute| attribute.path().is_ident("doc"))
        {
            return Err(Error::new(
                item.sig.ident.span(),
                "a method says what it does: its documentation is part of the schema",
            ));
        }
        if RESERVED.iter().any(|name| item.sig.ident == name) {
            return Err(Error::new(
                item.sig.ident.span(),
                "every client has a method of this name already",
            ));
        }
        let mut inputs = item.sig.inputs.into_iter();
        match inputs.next() {
            Some(FnArg::Receiver(Receiver {
                kind: ReceiverKind::Reference(_, None, Some(_)),
                ..
            })) => {}
            other => return Err(Error::new(other.span(), "a method begins with `&mut self`")),
        }
        let parameters = inputs.map(Parameter::new).collect::<Result<Vec<_>>>()?;
        if parameters.len() > MAX_PARAMETERS {
            return Err(Error::new(
                item.sig.ident.span(),
                "too many parameters: make a type of them",
            ));
        }
        let borrows = parameters.iter().any(Parameter::is_borrowed);
        if borrows && (is_deferred || replay == Replay::Journaled) {
            return Err(Error::new(
                item.sig.ident.span(),
                "what is answered later, or journaled, takes its arguments by value",
            ));
        }
        let (result, error) = result_types(&item.sig.output)?;
        Ok(Self {
            name: item.sig.ident,
            number,
            attributes,
            replay,
            is_deferred,
            parameters,
            result,
            error,
        })
    }

    pub fn borrows(&self) -> bool {
        self.parameters.iter().any(Parameter::is_borrowed)
    }
}

impl Parameter {
    fn new(input: FnArg) -> Result<Self> {
        let FnArg::Typed(typed) = input else {
            return Err(Error::new(input.span(), "`self` comes first"));
        };
        let Pat::Ident(pattern) = *typed.pat else {
            return Err(Error::new(typed.pat.span(), "a parameter has a plain name"));
        };
        if let Type::Reference(reference) = &*typed.ty
            && (reference.mutability.is_some() || reference.lifetime.is_some())
        {
            return Err(Error::new(
                reference.span(),
                "a borrowed parameter is `&str` or `&[u8]`",
            ));
        }
        Ok(Self {
            name: pattern.ident,
            ty: *typed.ty,
        })
    }

    pub fn is_borrowed(&self) -> bool {
        matches!(self.ty, Type::Reference(_))
    }
}

/// `T` and `E` of `Result<T, E>`.
fn result_types(output: &ReturnType) -> Result<(Type, Type)> {
    let problem = || Error::new(output.span(), "a method returns `Result<T, E>`");
    let ReturnType::Type(_, ty) = output else {
        return Err(problem());
    };
    match generic_of(ty, "Result").as_deref() {
        Some([result, error]) => Ok(((*result).clone(), (*error).clone())),
        _ => Err(problem()),
    }
}

/// The text of doc comments.
pub fn documentation(attributes: &[Attribute]) -> String {
    let lines = attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("doc"))
        .filter_map(|attribute| match &attribute.meta {
            Meta::NameValue(pair) => match &pair.value {
                Expr::Lit(ExprLit {
                    lit: Lit::Str(text),
                    ..
                }) => Some(text.value().trim().to_string()),
                _ => None,
            },
            _ => None,
        });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(name: &str, text: &str) -> Result<Model> {
        let arguments = syn::parse_str(&format!("name = \"{name}\", version = 1"))?;
        Model::new(arguments, syn::parse_str(text)?)
    }

    fn problem(text: &str) -> String {
        match model("sample", text) {
            Ok(_) => "none".into(),
            Err(error) => error.to_string(),
        }
    }

    fn method(attributes: &str, signature: &str) -> String {
        problem(&format!(
            "pub trait Sample {{ /** Does. */ {attributes} fn {signature}; }}"
        ))
    }

    #[test]
    fn methods_are_numbered_from_one_and_know_their_kind() {
        let model = model(
            "sample",
            "pub trait Sample {
                /// One.
                #[idempotent]
                fn one(&mut self, name: &str) -> Result<u8, Error>;
                /// Two,
                /// and more.
                #[journaled] #[deferred]
                fn two(&mut self) -> Result<(), Error>;
            }",
        )
        .unwrap();
        let [one, two] = &model.methods[..] else {
            panic!("two methods")
        };
        assert!(one.number == 1 && one.replay == Replay::Idempotent && one.borrows());
        assert!(two.number == 2 && two.replay == Replay::Journaled && two.is_deferred);
        assert_eq!(documentation(&two.attributes), "Two,\nand more.");
        assert!(model.is_journaled());
    }

    #[test]
    fn a_protocol_is_a_plain_trait_with_a_plain_name() {
        assert!(model("Sample", "trait Sample {}").is_err());
        assert!(model("", "trait Sample {}").is_err());
        assert!(model("9p", "trait Sample {}").is_err());
        assert!(problem("trait Sample<T> {}").contains("plain trait"));
        assert!(problem("trait Sample: Copy {}").contains("plain trait"));
        assert!(problem("trait Sample { const N: u8; }").contains("methods and nothing else"));
        assert!(syn::parse_str::<Arguments>("name = \"x\"").is_err());
        assert!(syn::parse_str::<Arguments>("name = \"x\", version = 1, colour = 2").is_err());
    }

    #[test]
    fn a_method_that_could_not_be_kept_is_refused_with_the_reason() {
        assert_eq!(method("", "good(&mut self) -> Result<u8, E>"), "none");
        assert!(method("", "bad(&self) -> Result<u8, E>").contains("&mut self"));
        assert!(method("", "bad() -> Result<u8, E>").contains("&mut self"));
        assert!(method("", "bad(&mut self)").contains("Result<T, E>"));
        assert!(method("", "bad(&mut self) -> Result<u8>").contains("Result<T, E>"));
        assert!(method("", "ring(&mut self) -> Result<u8, E>").contains("already"));
        assert!(
            method(
                "#[idempotent] #[journaled]",
                "bad(&mut self) -> Result<u8, E>"
            )
            .contains("or neither")
        );
        assert!(
            method("#[deferred]", "bad(&mut self, a: &str) -> Result<u8, E>").contains("by value")
        );
        assert!(
            method("", "bad(&mut self, a: &mut [u8]) -> Result<u8, E>")
                .contains("`&str` or `&[u8]`")
        );
        assert!(
            problem("trait Sample { fn bad(&mut self) -> Result<u8, E>; }")
                .contains("documentation")
        );
    }
}
