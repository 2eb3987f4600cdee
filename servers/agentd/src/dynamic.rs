//! Between JSON and postcard, by a schema.
