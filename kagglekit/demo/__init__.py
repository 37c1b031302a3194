"""The demo: a small competition of words spoken by eSpeak NG, made offline."""
