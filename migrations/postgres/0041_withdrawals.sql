-- Spotlights whose withdrawn offer is being settled: few, and looked for twice a second.
CREATE INDEX board_spotlights_withdrawing ON board_spotlights (id)
    WHERE (view->'withdrawal'->>'open') = 'true';
