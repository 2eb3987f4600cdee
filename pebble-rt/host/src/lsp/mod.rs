//! `pebble lsp`: the Language Server Protocol on standard input and output.
//!
//! - `mod.rs`: the conversation
//! - `document.rs`: an open file and what is known about it
//! - `features.rs`: completion, hover, definitions, the outline
//! - `place.rs`: between the protocol's positions and ours
//!
//! Invariant: a request is answered exactly once, with a result or an error; nothing a client sends ends the server but `exit`
//! and the end of the input.

mod document;
mod features;
mod place;

use crate::arguments::Arguments;
use crate::{complain, environment};
use document::Document;
use lsp_server::{Connection, ErrorCode, Message, Notification, Request, RequestId, Response};
use lsp_types::notification::{
    DidChangeTextDocument, DidCloseTextDocument, DidOpenTextDocument, Notification as _,
    PublishDiagnostics,
};
use lsp_types::request::{
    Completion, DocumentSymbolRequest, Formatting, GotoDefinition, HoverRequest, Request as _,
};
use lsp_types::{
    CompletionOptions, DidChangeTextDocumentParams, DidCloseTextDocumentParams,
    DidOpenTextDocumentParams, HoverProviderCapability, InitializeParams, OneOf,
    PublishDiagnosticsParams, ServerCapabilities, TextDocumentSyncCapability, TextDocumentSyncKind,
    Uri,
};
use pebble_rt::tools::check::Environment;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::HashMap;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

/// Serves one editor until it leaves.
pub fn run(arguments: Arguments) -> ExitCode {
    let (connection, threads) = Connection::stdio();
    let outcome = serve(&connection, arguments.root);
    // The writing thread ends when nobody can send to it any more.
    drop(connection);
    let outcome = outcome.and_then(|()| threads.join().map_err(Into::into));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error.to_string()),
    }
}

fn serve(
    connection: &Connection,
    root: Option<PathBuf>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let capabilities = serde_json::to_value(capabilities())?;
    let initialize: InitializeParams =
        serde_json::from_value(connection.initialize(capabilities)?)?;
    let root = root
        .or_else(|| workspace_root(&initialize))
        .unwrap_or_else(|| PathBuf::from("."));
    let mut server = Server {
        documents: HashMap::new(),
        environment: environment::standard(),
        root,
    };
    for message in &connection.receiver {
        match message {
            Message::Request(request) => {
                if connection.handle_shutdown(&request)? {
                    return Ok(());
                }
                connection
                    .sender
                    .send(Message::Response(server.answer(request)))?;
            }
            Message::Notification(notification) => {
                if let Some(published) = server.note(notification) {
                    let method = PublishDiagnostics::METHOD.to_owned();
                    connection
                        .sender
                        .send(Message::Notification(Notification::new(method, published)))?;
                }
            }
            Message::Response(_) => {}
        }
    }
    Ok(())
}

fn capabilities() -> ServerCapabilities {
    ServerCapabilities {
        text_document_sync: Some(TextDocumentSyncCapability::Kind(
            TextDocumentSyncKind::INCREMENTAL,
        )),
        completion_provider: Some(CompletionOptions {
            trigger_characters: Some(vec![".".to_owned()]),
            ..CompletionOptions::default()
        }),
        hover_provider: Some(HoverProviderCapability::Simple(true)),
        definition_provider: Some(OneOf::Left(true)),
        document_symbol_provider: Some(OneOf::Left(true)),
        document_formatting_provider: Some(OneOf::Left(true)),
        ..ServerCapabilities::default()
    }
}

fn workspace_root(initialize: &InitializeParams) -> Option<PathBuf> {
    let folders = initialize.workspace_folders.as_ref()?;
    place::path_of(&folders.first()?.uri)
}

/// What the server knows.
struct Server {
    documents: HashMap<Uri, Document>,
    environment: Environment,
    root: PathBuf,
}

impl Server {
    fn answer(&self, request: Request) -> Response {
        let id = request.id.clone();
        match request.method.as_str() {
            Completion::METHOD => self.reply::<Completion>(id, request, |server, params| {
                let at = params.text_document_position;
                server.with_document(&at.text_document.uri, |document| {
                    features::completion(document, at.position, &server.environment, &server.root)
                })
            }),
            HoverRequest::METHOD => self.reply::<HoverRequest>(id, request, |server, params| {
                let at = params.text_document_position_params;
                server.with_document(&at.text_document.uri, |document| {
                    features::hover(document, at.position, &server.environment, &server.root)
                })
            }),
            GotoDefinition::METHOD => {
                self.reply::<GotoDefinition>(id, request, |server, params| {
                    let at = params.text_document_position_params;
                    server.with_document(&at.text_document.uri, |document| {
                        features::definition(document, at.position, &server.root)
                    })
                })
            }
            DocumentSymbolRequest::METHOD => {
                self.reply::<DocumentSymbolRequest>(id, request, |server, params| {
                    server.with_document(&params.text_document.uri, |document| {
                        Some(features::outline(document))
                    })
                })
            }
            Formatting::METHOD => self.reply::<Formatting>(id, request, |server, params| {
                server.with_document(&params.text_document.uri, features::formatting)
            }),
            method => {
                let message = format!("there is no method {method}");
                Response::new_err(id, ErrorCode::MethodNotFound as i32, message)
            }
        }
    }

    fn reply<R: lsp_types::request::Request>(
        &self,
        id: RequestId,
        request: Request,
        handle: impl FnOnce(&Self, R::Params) -> R::Result,
    ) -> Response
    where
        R::Params: DeserializeOwned,
    {
        match serde_json::from_value::<R::Params>(request.params) {
            Ok(params) => Response::new_ok(id, handle(self, params)),
            Err(error) => Response::new_err(id, ErrorCode::InvalidParams as i32, error.to_string()),
        }
    }

    fn with_document<T>(&self, uri: &Uri, step: impl FnOnce(&Document) -> Option<T>) -> Option<T> {
        self.documents.get(uri).and_then(step)
    }

    /// Takes a notification; what comes back is to be published.
    fn note(&mut self, notification: Notification) -> Option<PublishDiagnosticsParams> {
        match notification.method.as_str() {
            DidOpenTextDocument::METHOD => {
                let params: DidOpenTextDocumentParams = parameters(notification.params)?;
                let item = params.text_document;
                self.documents.insert(
                    item.uri.clone(),
                    Document::new(item.uri.clone(), item.text, item.version),
                );
                self.publish(&item.uri)
            }
            DidChangeTextDocument::METHOD => {
                let params: DidChangeTextDocumentParams = parameters(notification.params)?;
                let uri = params.text_document.uri;
                let document = self.documents.get_mut(&uri)?;
                document.change(params.content_changes, params.text_document.version);
                self.publish(&uri)
            }
            DidCloseTextDocument::METHOD => {
                let params: DidCloseTextDocumentParams = parameters(notification.params)?;
                self.documents.remove(&params.text_document.uri);
                Some(PublishDiagnosticsParams::new(
                    params.text_document.uri,
                    Vec::new(),
                    None,
                ))
            }
            _ => None,
        }
    }

    fn publish(&self, uri: &Uri) -> Option<PublishDiagnosticsParams> {
        let document = self.documents.get(uri)?;
        let found = features::diagnostics(document, &self.environment);
        Some(PublishDiagnosticsParams::new(
            uri.clone(),
            found,
            Some(document.version()),
        ))
    }
}

/// The parameters of a notification; malformed ones are ignored, for there is nobody to tell.
fn parameters<T: DeserializeOwned>(value: Value) -> Option<T> {
    serde_json::from_value(value).ok()
}
