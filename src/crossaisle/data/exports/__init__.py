"""Exports of shop systems, public data sets and unknown folders -> a file of settings to read and change."""
