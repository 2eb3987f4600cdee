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
