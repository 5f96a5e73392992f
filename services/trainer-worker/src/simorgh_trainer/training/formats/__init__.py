"""How a model writes a conversation as tokens: ours by its markers, any other by the chat template that it brings."""
