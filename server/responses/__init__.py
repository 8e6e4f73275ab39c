"""OpenAI's responses, a stateless subset, on top of chat: translated on the way in, retold on the way out."""
