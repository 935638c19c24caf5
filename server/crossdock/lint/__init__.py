"""`crossdock check`: a folder with an adapter, judged with its Python and its distribution."""
