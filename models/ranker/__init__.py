"""The ranker: settings, inputs, the forward pass with numpy and with torch, training, its state."""
