"""What a sentence claims that can be looked up: numbers, dates, quotations and names; and what a text lacks of it."""
