"""The samples and bases of `picture_folders` and `encoding_parts` are shared by the tests of every sub-room."""
