"""LlamaIndex with Chroma on given texts: prints its seconds, and how long a query took, loading aside, as JSON.

    python -P llamaindex_chroma.py MODEL_FOLDER TEXTS.json STORE_FOLDER

Runs in an environment of its own:
pip install llama-index-core llama-index-vector-stores-chroma llama-index-embeddings-huggingface
"""

import json
import sys
import time
from pathlib import Path

import chromadb
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.schema import TextNode
from llama_index.embeddings.huggingface import HuggingFaceEmbedding
from llama_index.vector_stores.chroma import ChromaVectorStore

QUERIES = 100


def main() -> None:
    """Index the texts as its documentation shows, then ask one query at a time."""
    model, file, store = sys.argv[1:4]
    texts = json.loads(Path(file).read_text(encoding="utf-8"))
    embedding = HuggingFaceEmbedding(model_name=model)
    embedding.get_text_embedding_batch(texts[:64])
    started, used = time.perf_counter(), time.process_time()
    collection = chromadb.PersistentClient(store).get_or_create_collection("peer")
    storage = StorageContext.from_defaults(vector_store=ChromaVectorStore(chroma_collection=collection))
    nodes = [TextNode(text=text, id_=str(number)) for number, text in enumerate(texts)]
    index = VectorStoreIndex(nodes, storage_context=storage, embed_model=embedding)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - used
    retriever = index.as_retriever(similarity_top_k=5)
    asked = []
    for text in texts[:QUERIES]:
        started = time.perf_counter()
        retriever.retrieve(text[:60])
        asked.append(time.perf_counter() - started)
    query_seconds = sorted(asked)[len(asked) // 2]
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu_seconds, "query_seconds": query_seconds}))


if __name__ == "__main__":
    main()
