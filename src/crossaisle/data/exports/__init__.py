"""Turns exports of shop systems, public data sets and unknown folders into a settings file to review and
edit."""
