"""LangChain with Chroma on given texts: prints its seconds, and how long a query took, loading aside, as JSON.

    python -P langchain_chroma.py MODEL_FOLDER TEXTS.json STORE_FOLDER

Runs in an environment of its own: pip install langchain-chroma langchain-huggingface sentence-transformers
Without -P this file would stand before the package that has its name.
"""

import json
import sys
import time
from pathlib import Path

from langchain_chroma import Chroma
from langchain_huggingface import HuggingFaceEmbeddings

QUERIES = 100


def main() -> None:
    """Index the texts as its documentation shows, then ask one query at a time."""
    model, file, store = sys.argv[1:4]
    texts = json.loads(Path(file).read_text(encoding="utf-8"))
    embeddings = HuggingFaceEmbeddings(model_name=model, encode_kwargs={"normalize_embeddings": True})
    embeddings.embed_documents(texts[:64])
    started, used = time.perf_counter(), time.process_time()
    vector_store = Chroma("peer", embeddings, persist_directory=store)
    vector_store.add_texts(texts)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - used
    queries = [text[:60] for text in texts[:QUERIES]]
    asked = []
    for query in queries:
        started = time.perf_counter()
        vector_store.similarity_search_with_score(query, k=5)
        asked.append(time.perf_counter() - started)
    query_seconds = sorted(asked)[len(asked) // 2]
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu_seconds, "query_seconds": query_seconds}))


if __name__ == "__main__":
    main()
