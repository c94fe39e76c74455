"""Steps for texts: characters, languages, words, sizes, brands, abbreviations."""
