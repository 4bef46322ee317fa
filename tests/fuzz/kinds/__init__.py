"""One file a kind of input; each holds one Kind as KIND."""
