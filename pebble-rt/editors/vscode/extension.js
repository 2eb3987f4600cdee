// Starts `pebble lsp` for open Pebble files. Colours need none of this.
const { workspace } = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

exports.activate = function () {
  const command = workspace.getConfiguration("pebble").get("command");
  const server = { command, args: ["lsp"] };
  client = new LanguageClient("pebble", "Pebble", server, {
    documentSelector: [{ language: "pebble" }],
  });
  return client.start();
};

exports.deactivate = function () {
  return client ? client.stop() : undefined;
};
