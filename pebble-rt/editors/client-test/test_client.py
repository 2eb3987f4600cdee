"""`pebble lsp` as an independent client of the protocol sees it (pytest-lsp, built on pygls).

    python3 -m venv env && env/bin/pip install pytest-lsp
    cargo build --bin pebble
    PEBBLE=target/debug/pebble env/bin/pytest pebble-rt/editors/client-test
"""

import os

import pytest
import pytest_lsp
from lsprotocol import types
from pytest_lsp import ClientServerConfig, LanguageClient

PEBBLE = os.path.abspath(os.environ.get("PEBBLE", "target/debug/pebble"))
URI = "file:///nowhere/demo.peb"
TEXT = """\
import math

def area(radius, scale=1):
    "The area of a square."
    return radius * radius * scale

count = area(2)
print cuont, math.sqrt(16)
"""


@pytest_lsp.fixture(config=ClientServerConfig(server_command=[PEBBLE, "lsp"]))
async def client(lsp_client: LanguageClient):
    await lsp_client.initialize_session(
        types.InitializeParams(capabilities=types.ClientCapabilities())
    )
    lsp_client.text_document_did_open(
        types.DidOpenTextDocumentParams(
            text_document=types.TextDocumentItem(
                uri=URI, language_id="pebble", version=1, text=TEXT
            )
        )
    )
    await lsp_client.wait_for_notification("textDocument/publishDiagnostics")
    yield
    await lsp_client.shutdown_session()


def place(line, character):
    return {
        "text_document": types.TextDocumentIdentifier(uri=URI),
        "position": types.Position(line=line, character=character),
    }


@pytest.mark.asyncio
async def test_diagnostics(client: LanguageClient):
    found = client.diagnostics[URI]
    assert [one.message for one in found] == [
        "unknown name 'cuont'; did you mean 'count'?"
    ]
    assert found[0].range.start == types.Position(line=7, character=6)


@pytest.mark.asyncio
async def test_completion(client: LanguageClient):
    items = await client.text_document_completion_async(
        types.CompletionParams(**place(7, 20))
    )
    labels = {item.label for item in items}
    assert "sqrt" in labels and "area" not in labels


@pytest.mark.asyncio
async def test_hover(client: LanguageClient):
    hover = await client.text_document_hover_async(types.HoverParams(**place(6, 10)))
    assert "def area(radius, scale=1)" in hover.contents.value
    assert "The area of a square." in hover.contents.value


@pytest.mark.asyncio
async def test_definition(client: LanguageClient):
    found = await client.text_document_definition_async(
        types.DefinitionParams(**place(6, 10))
    )
    assert found.range.start == types.Position(line=2, character=4)


@pytest.mark.asyncio
async def test_change(client: LanguageClient):
    client.text_document_did_change(
        types.DidChangeTextDocumentParams(
            text_document=types.VersionedTextDocumentIdentifier(uri=URI, version=2),
            content_changes=[
                types.TextDocumentContentChangePartial(
                    range=types.Range(
                        start=types.Position(line=7, character=6),
                        end=types.Position(line=7, character=11),
                    ),
                    text="count",
                )
            ],
        )
    )
    await client.wait_for_notification("textDocument/publishDiagnostics")
    assert not client.diagnostics[URI]
