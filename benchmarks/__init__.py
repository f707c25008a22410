"""One module a question, each against a peer or a limit measured in the same run; prints one JSON object."""
