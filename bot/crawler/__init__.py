"""Where articles come from on the web: pages and feeds, fetched politely and only from where it is allowed."""
