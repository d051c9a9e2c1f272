"""From a CRM's or a mailbox's own records to events: translation, and nothing but translation."""
