-- An id became another one, and that became a third: then the models must follow the map twice.
select a.from_user_id
from {{ ref('heap_user_map') }} a
join {{ ref('heap_user_map') }} b on b.from_user_id = a.to_user_id
