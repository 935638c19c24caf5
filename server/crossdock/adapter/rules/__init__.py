"""The rules by which adapters are judged, at load and by `crossdock check` alike."""
