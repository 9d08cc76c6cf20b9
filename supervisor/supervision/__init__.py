"""Who is alive? Supervised tasks in the words of Erlang/OTP; knows nothing of LLMs."""
